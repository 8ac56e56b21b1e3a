-- One row per call. The first half comes from its begin (or refusal), the second from its end: a call that
-- is still running has outcome NULL, a call whose begin was lost has at_us NULL. NULL is unknown, 0 is zero.
-- segment and byte_offset are the place behind its first frame in the journal of boot.
CREATE TABLE request (
    id TEXT PRIMARY KEY,
    boot TEXT,
    segment BIGINT,
    byte_offset BIGINT,
    seq BIGINT,
    at_us BIGINT,
    snapshot BIGINT,
    tenant TEXT,
    key_id TEXT,
    project TEXT,
    team TEXT,
    feature TEXT,
    feature_source TEXT,
    customer TEXT,
    end_user TEXT,
    session TEXT,
    run TEXT,
    step TEXT,
    prompt TEXT,
    environment TEXT,
    tags TEXT,
    surface TEXT,
    stream BIGINT,
    model_asked TEXT,
    max_output BIGINT,
    limit_sent BIGINT,
    limit_source TEXT,
    tier_asked TEXT,
    body_bytes BIGINT,
    system_bytes BIGINT,
    system_tokens BIGINT,
    tools_bytes BIGINT,
    tools_tokens BIGINT,
    history_bytes BIGINT,
    history_tokens BIGINT,
    tool_results_bytes BIGINT,
    tool_results_tokens BIGINT,
    last_user_bytes BIGINT,
    last_user_tokens BIGINT,
    messages BIGINT,
    tool_count BIGINT,
    images BIGINT,
    fingerprint TEXT,
    exact TEXT,
    prefixes TEXT,
    begin_decisions TEXT,
    end_seq BIGINT,
    end_at_us BIGINT,
    outcome TEXT,
    http BIGINT,
    error_code TEXT,
    last_attempt BIGINT,
    edits TEXT,
    ttft_us BIGINT,
    duration_us BIGINT,
    bytes_out BIGINT,
    end_decisions TEXT
);
CREATE INDEX request_at ON request (at_us);

-- One row per upstream call: n = 0 is the one of the begin. Amounts are nano-units of `currency`.
CREATE TABLE attempt (
    request_id TEXT NOT NULL,
    n BIGINT NOT NULL,
    at_us BIGINT,
    reason TEXT,
    provider TEXT,
    deployment TEXT,
    model TEXT,
    region TEXT,
    hold_input_tokens BIGINT,
    hold_output_tokens BIGINT,
    hold_nano BIGINT,
    hold_input_nano BIGINT,
    hold_currency TEXT,
    hold_price_id TEXT,
    hold_calibration TEXT,
    status TEXT,
    sent TEXT,
    http BIGINT,
    error_class TEXT,
    error_code TEXT,
    input_uncached BIGINT,
    cache_read BIGINT,
    cache_write_5m BIGINT,
    cache_write_1h BIGINT,
    input_audio BIGINT,
    input_image BIGINT,
    output_text BIGINT,
    reasoning BIGINT,
    output_audio BIGINT,
    searches BIGINT,
    usage_source TEXT,
    usage_rule TEXT,
    calibration TEXT,
    stated_input BIGINT,
    stated_output BIGINT,
    cost_nano BIGINT,
    currency TEXT,
    cost_source TEXT,
    price_id TEXT,
    fx_id TEXT,
    stated_cost_nano BIGINT,
    model_served TEXT,
    service_tier TEXT,
    upstream_id TEXT,
    finish TEXT,
    tool_calls BIGINT,
    output_bytes BIGINT,
    started_us BIGINT,
    first_byte_us BIGINT,
    first_event_us BIGINT,
    ended_us BIGINT,
    flags TEXT,
    PRIMARY KEY (request_id, n)
);

-- Refusals without a tenant beyond the rate at which each is a row of its own.
CREATE TABLE refused_minute (
    boot TEXT NOT NULL,
    seq BIGINT NOT NULL,
    minute_us BIGINT NOT NULL,
    code TEXT NOT NULL,
    refusals BIGINT NOT NULL,
    PRIMARY KEY (boot, seq)
);

CREATE TABLE note (
    boot TEXT NOT NULL,
    seq BIGINT NOT NULL,
    at_us BIGINT NOT NULL,
    kind TEXT NOT NULL,
    request_id TEXT,
    facts TEXT,
    PRIMARY KEY (boot, seq)
);

-- What the projector could not read: a damaged segment, from where on.
CREATE TABLE alarm (
    source TEXT NOT NULL,
    boot TEXT NOT NULL,
    segment BIGINT NOT NULL,
    byte_offset BIGINT NOT NULL,
    kind TEXT NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (source, boot, segment, byte_offset)
);

CREATE TABLE virtual_key (
    id TEXT PRIMARY KEY,
    tenant TEXT,
    mac TEXT,
    name TEXT,
    project TEXT,
    team TEXT,
    region TEXT,
    models TEXT,
    pinned TEXT,
    defaults TEXT,
    created_at_us BIGINT,
    expires_at_us BIGINT,
    created_by TEXT,
    revoked_at_us BIGINT,
    revoked_by TEXT,
    revoked_reason TEXT
);
CREATE INDEX virtual_key_tenant ON virtual_key (tenant, id);

-- Names are dated and joined on reading, so they can be given later, also for the past.
CREATE TABLE feature_name (
    tenant TEXT NOT NULL,
    feature TEXT NOT NULL,
    valid_from_us BIGINT NOT NULL,
    name TEXT NOT NULL,
    given_by TEXT NOT NULL,
    boot TEXT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (tenant, feature, valid_from_us)
);

CREATE TABLE price_card (
    price_id TEXT PRIMARY KEY,
    content TEXT NOT NULL,
    listed_at_us BIGINT NOT NULL
);

-- One unit of base is `rate` (a decimal) units of quote from a day (UTC, 2026-11-01) on.
CREATE TABLE fx (
    fx_id TEXT PRIMARY KEY,
    base TEXT NOT NULL,
    quote TEXT NOT NULL,
    rate TEXT NOT NULL,
    valid_from TEXT NOT NULL,
    source TEXT NOT NULL
);

-- How far each journal is projected; written in the transaction that writes its rows.
CREATE TABLE journal_position (
    source TEXT NOT NULL,
    boot TEXT NOT NULL,
    segment BIGINT NOT NULL,
    byte_offset BIGINT NOT NULL,
    last_at_us BIGINT,
    frames BIGINT NOT NULL,
    skipped BIGINT NOT NULL,
    finished BIGINT NOT NULL,
    PRIMARY KEY (source, boot)
);

-- When every journal was last read to its end: what a report is true "as of".
CREATE TABLE caught_up (
    id BIGINT PRIMARY KEY,
    at_us BIGINT NOT NULL
);
