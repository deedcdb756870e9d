//! Helpers shared by the tests of what crosses processes.
