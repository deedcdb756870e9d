//! The facet variational autoencoder, its losses and its evaluation metrics.
