//! Logs: filters and where they go.
