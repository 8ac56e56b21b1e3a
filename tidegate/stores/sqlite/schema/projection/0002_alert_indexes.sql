-- What alerts look for, so that a look reads no more than what there is to tell.
CREATE INDEX note_kind_at ON note (kind, at_us);
CREATE INDEX attempt_unpriced ON attempt (at_us) WHERE cost_source = 'unpriced';
CREATE INDEX request_price_unknown ON request (at_us) WHERE error_code = 'price_unknown';
CREATE INDEX note_budget ON note (json_extract(facts, '$.budget'), at_us) WHERE kind = 'budget_threshold';
CREATE INDEX attempt_drift ON attempt (at_us) WHERE instr(flags, '_drift"') > 0;
