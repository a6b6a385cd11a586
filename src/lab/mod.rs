//! Local fleets and drills.
