"""The embedded engine: SQLite through apsw, written by the control process alone."""
