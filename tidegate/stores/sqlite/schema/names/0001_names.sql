-- Plain names of pseudonyms, encrypted under a key per subject: destroying the key erases the name.
CREATE TABLE subject_key (
    tenant TEXT NOT NULL,
    pseudonym TEXT NOT NULL,
    wrapped BLOB NOT NULL,
    PRIMARY KEY (tenant, pseudonym)
);

CREATE TABLE name (
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    pseudonym TEXT NOT NULL,
    ciphertext BLOB NOT NULL,
    PRIMARY KEY (tenant, kind, pseudonym)
);
