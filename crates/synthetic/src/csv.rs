//! Generated data as CSV. No field needs quotes.

use std::io::{self, Write};

use crate::Generator;

/// Writes `user_id,item_id,event,rating,timestamp,tenant` and returns the number of rows below the header.
///
/// # Errors
/// Those of `target`.
pub fn write_interactions(generator: &Generator, mut target: impl Write) -> io::Result<u64> {
    writeln!(target, "user_id,item_id,event,rating,timestamp,tenant")?;
    let mut rows = 0;
    for user in generator.users() {
        for interaction in &user.interactions {
            writeln!(
                target,
                "{},item-{},{},{},{},{}",
                user.id,
                interaction.item,
                interaction.event,
                interaction.rating,
                interaction.timestamp,
                user.tenant
            )?;
            rows += 1;
        }
    }
    target.flush()?;
    Ok(rows)
}

/// Writes `item_id,title,text,categories,facet`; categories are separated by `|`, and `facet` is the ground truth.
///
/// # Errors
/// Those of `target`.
pub fn write_items(generator: &Generator, mut target: impl Write) -> io::Result<()> {
    writeln!(target, "item_id,title,text,categories,facet")?;
    for item in generator.items() {
        writeln!(target, "{},{},{},{},{}", item.id, item.title, item.text, item.categories.join("|"), item.facet)?;
    }
    target.flush()
}

/// Writes `user_id,tenant,facet_0,facet_1,…`: the ground truth of users.
///
/// # Errors
/// Those of `target`.
pub fn write_users(generator: &Generator, mut target: impl Write) -> io::Result<()> {
    write!(target, "user_id,tenant")?;
    for facet in 0..generator.options().facets {
        write!(target, ",facet_{facet}")?;
    }
    writeln!(target)?;
    for user in generator.users() {
        write!(target, "{},{}", user.id, user.tenant)?;
        for share in &user.mixture {
            write!(target, ",{share:.6}")?;
        }
        writeln!(target)?;
    }
    target.flush()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::Options;

    #[test]
    fn every_row_has_the_header_s_fields() {
        let options = Options { users: 40, items: 90, facets: 30, interactions: 400, seed: 1, tenants: 2 };
        let generator = Generator::new(options).unwrap();
        let (mut interactions, mut items, mut users) = (Vec::new(), Vec::new(), Vec::new());
        assert_eq!(write_interactions(&generator, &mut interactions).unwrap(), 400);
        write_items(&generator, &mut items).unwrap();
        write_users(&generator, &mut users).unwrap();
        for (text, rows) in [(interactions, 400), (items, 90), (users, 40)] {
            let text = String::from_utf8(text).unwrap();
            let fields = text.lines().next().unwrap().split(',').count();
            assert!(text.lines().all(|line| line.split(',').count() == fields));
            assert_eq!(text.lines().count(), rows + 1);
        }
    }
}
