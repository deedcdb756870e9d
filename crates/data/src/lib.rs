//! Reading raw interactions, cleaning, vocabulary, splits and the prepared dataset.
