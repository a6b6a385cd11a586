//! Argument types and one thin file per subcommand: only wiring.
