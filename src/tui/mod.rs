//! The console: reads [`crate::model`], sends commands; knows no network.
