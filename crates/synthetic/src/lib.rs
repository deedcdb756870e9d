//! Synthetic interactions with planted facets.
