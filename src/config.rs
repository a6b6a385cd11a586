//! Configuration: files, environment, flags, defaults.
