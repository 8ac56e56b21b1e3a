-- What is remembered of each alert, as policy/alerting.py defines it; `content` is its JSON.
CREATE TABLE standing (
    event TEXT NOT NULL,
    subject TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (event, subject)
);

-- Messages on their way, one row for each target. A row goes when its message has arrived or is given up.
-- `tries` have failed so far; the next is due at next_us.
CREATE TABLE delivery (
    id INTEGER PRIMARY KEY,
    target TEXT NOT NULL,
    event TEXT NOT NULL,
    subject TEXT NOT NULL,
    content TEXT NOT NULL,
    made_us BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    next_us BIGINT NOT NULL,
    said TEXT
);
CREATE INDEX delivery_target ON delivery (target, event, subject, id);
