//! Create-if-absent that recognises its own write.

use bytes::Bytes;

/// What became of a create-if-absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// The object is ours.
    Created,
    /// Another writer's object is there; its bytes.
    Exists(Bytes),
}

/// What to do about an answer to a create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Done.
    Done(Created),
    /// Nothing was written: try again.
    Again,
}

/// Whether after this error of a create the object may or may not be there.
pub(crate) fn leaves_open(error: &object_store::Error) -> bool {
    use object_store::Error;
    matches!(error, Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::Generic { .. })
}

/// Decides from what is there after the store said "exists", or said nothing that can be trusted.
///
/// A store may answer "exists" to a retried create that was ours (its first answer was lost), or 409 where nothing was
/// written. Content carries a nonce, so equal bytes mean that the write was ours.
pub(crate) fn after_conflict(mine: &Bytes, found: Option<Bytes>) -> Next {
    match found {
        None => Next::Again,
        Some(found) if found == mine => Next::Done(Created::Created),
        Some(found) => Next::Done(Created::Exists(found)),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::our_own_write_whose_answer_was_lost(Some("mine"), Next::Done(Created::Created))]
    #[case::another_writer(Some("other"), Next::Done(Created::Exists(Bytes::from_static(b"other"))))]
    #[case::a_conflict_that_wrote_nothing(None, Next::Again)]
    fn what_is_there_decides(#[case] found: Option<&'static str>, #[case] expected: Next) {
        let mine = Bytes::from_static(b"mine");
        assert_eq!(after_conflict(&mine, found.map(Bytes::from)), expected);
    }
}
