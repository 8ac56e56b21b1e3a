-- What each account of a budget was charged for each attempt, in the unit that the account's name holds. From
-- counts_until_us on the window matters to nobody. Old rows go with their request; the sums below stay.
CREATE TABLE budget_charge (
    request_id TEXT NOT NULL,
    n BIGINT NOT NULL,
    account TEXT NOT NULL,
    window_us BIGINT NOT NULL,
    amount BIGINT NOT NULL,
    counts_until_us BIGINT NOT NULL,
    PRIMARY KEY (request_id, n, account)
) WITHOUT ROWID;

CREATE TABLE budget_spent (
    account TEXT NOT NULL,
    window_us BIGINT NOT NULL,
    spent BIGINT NOT NULL,
    counts_until_us BIGINT NOT NULL,
    PRIMARY KEY (account, window_us)
) WITHOUT ROWID;
CREATE INDEX budget_spent_counts ON budget_spent (counts_until_us);

-- A charge is counted when its row is made, so exactly once. A sum beyond 64 bits would become a float.
CREATE TRIGGER budget_charge_counts AFTER INSERT ON budget_charge BEGIN
    INSERT INTO budget_spent (account, window_us, spent, counts_until_us)
    VALUES (NEW.account, NEW.window_us, NEW.amount, NEW.counts_until_us)
    ON CONFLICT (account, window_us) DO UPDATE SET spent = MIN(spent + excluded.spent, 4000000000000000000);
END;

-- More, or less where amount is negative, for one window of an account.
CREATE TABLE budget_raise (
    boot TEXT NOT NULL,
    seq BIGINT NOT NULL,
    at_us BIGINT NOT NULL,
    account TEXT NOT NULL,
    window_us BIGINT NOT NULL,
    amount BIGINT NOT NULL,
    given_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (boot, seq)
);

-- What an attempt holds of accounts, as JSON: [[account, window_us, amount], ...]; NULL where it holds nothing.
ALTER TABLE attempt ADD COLUMN hold_shares TEXT;
CREATE INDEX attempt_holds ON attempt (request_id) WHERE hold_shares IS NOT NULL AND status IS NULL;
