//! The data as CSV. No value ever needs quoting.

use std::io::{BufWriter, Write};

use crate::{Generator, SyntheticError};

/// Writes `user_id,item_id,event,timestamp,site` rows.
///
/// # Errors
/// What the writer answers.
pub fn write_interactions(generator: &Generator, out: impl Write) -> Result<(), SyntheticError> {
    let mut out = BufWriter::new(out);
    writeln!(out, "user_id,item_id,event,timestamp,site")?;
    for row in generator.interactions() {
        writeln!(out, "u{},i{},{},{},{}", row.user, row.item, row.event, row.timestamp, row.site)?;
    }
    Ok(out.flush()?)
}

/// Writes `item_id,title,categories,facet` rows, categories separated by `|`. The planted facet is ground truth for
/// measuring disentanglement: no job should read it.
///
/// # Errors
/// What the writer answers.
pub fn write_items(generator: &Generator, out: impl Write) -> Result<(), SyntheticError> {
    let mut out = BufWriter::new(out);
    writeln!(out, "item_id,title,categories,facet")?;
    for item in generator.items() {
        writeln!(out, "i{},{},{},{}", item.id, item.title, item.categories.join("|"), item.facet)?;
    }
    Ok(out.flush()?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::Config;

    #[test]
    fn files_have_a_header_and_a_line_a_row() {
        let config = Config { users: 3, items: 5, facets: 2, interactions: 11, seed: 1 };
        let generator = Generator::new(config).unwrap();
        let (mut interactions, mut items) = (Vec::new(), Vec::new());
        write_interactions(&generator, &mut interactions).unwrap();
        write_items(&generator, &mut items).unwrap();
        let interactions = String::from_utf8(interactions).unwrap();
        assert_eq!(interactions.lines().count(), 12);
        assert!(interactions.lines().all(|line| line.split(',').count() == 5));
        let items = String::from_utf8(items).unwrap();
        assert_eq!(items.lines().count(), 6);
        assert!(items.lines().all(|line| line.split(',').count() == 4));
    }
}
