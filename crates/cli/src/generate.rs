//! `teasel generate`: synthetic data with planted facets, and a job that uses it.

use std::fs::File;
use std::io::{BufWriter, Write};

use teasel_api::outcome::ExitCode;
use teasel_synthetic::{Generator, Options};

use crate::arguments::GenerateArguments;
use crate::failure::Failure;

/// Tenants that the users are spread over.
const TENANTS: u32 = 2;

/// What is written.
const FILES: [&str; 4] = ["interactions.csv", "items.csv", "users.csv", "job.yaml"];

/// Most facets that a job may have.
const MOST_FACETS: u32 = 256;

/// Writes the files.
pub(crate) fn run(arguments: &GenerateArguments) -> Result<(), Failure> {
    let items = u32::try_from(arguments.items)
        .map_err(|_| Failure::new(ExitCode::Usage, format!("--items {} is too many", arguments.items)))?;
    let options = Options {
        users: arguments.users,
        items,
        facets: arguments.facets,
        interactions: arguments.interactions,
        seed: arguments.seed,
        tenants: TENANTS,
    };
    let generator = Generator::new(options).map_err(|error| Failure::new(ExitCode::Usage, error.to_string()))?;
    let folder = &arguments.out;
    let failed = |what: &str| {
        let what = format!("can't write {}", folder.join(what).display());
        move |error: std::io::Error| Failure::local(&what, error)
    };
    if arguments.facets > MOST_FACETS {
        return Err(Failure::new(ExitCode::Usage, format!("--facets is at most {MOST_FACETS}, as in a job")));
    }
    let there: Vec<_> = FILES.iter().filter(|name| folder.join(name).exists()).copied().collect();
    if !there.is_empty() && !arguments.force {
        let message =
            format!("{} holds {} already: choose another --out, or --force", folder.display(), there.join(", "));
        return Err(Failure::new(ExitCode::Usage, message));
    }
    std::fs::create_dir_all(folder).map_err(failed(""))?;
    let create = |name: &str| File::create(folder.join(name)).map(BufWriter::new).map_err(failed(name));

    let rows = teasel_synthetic::write_interactions(&generator, create("interactions.csv")?)
        .map_err(failed("interactions.csv"))?;
    teasel_synthetic::write_items(&generator, create("items.csv")?).map_err(failed("items.csv"))?;
    teasel_synthetic::write_users(&generator, create("users.csv")?).map_err(failed("users.csv"))?;
    let mut job = create("job.yaml")?;
    job.write_all(job_file(arguments).as_bytes()).and_then(|()| job.flush()).map_err(failed("job.yaml"))?;
    println!(
        "{rows} interactions of {} users with {} items of {} facets in {}\nnext: teasel run {}",
        arguments.users,
        arguments.items,
        arguments.facets,
        folder.display(),
        folder.join("job.yaml").display()
    );
    Ok(())
}

fn job_file(arguments: &GenerateArguments) -> String {
    let tenants: String = (1..=TENANTS)
        .map(|number| {
            format!("      - name: tenant-{number}\n        output: {{uri: recommendations/tenant-{number}}}\n")
        })
        .collect();
    format!(
        "\
# Synthetic data with planted facets: items.csv holds each item's facet, users.csv each user's mixture.
apiVersion: teasel.dev/v1alpha1
kind: RecommenderJob
metadata:
  name: synthetic
spec:
  storage: {{uri: storage}}
  data:
    interactions:
      location: {{uri: interactions.csv}}
      columns: {{user: user_id, item: item_id, timestamp: timestamp, tenant: tenant}}
    items:
      location: {{uri: items.csv}}
      columns: {{item: item_id, text: [title, text], categories: categories, facet: facet}}
      categorySeparator: \"|\"
  model:
    facets: {}
  training:
    workers: 2
  scoring:
    topK: 50
    tenants:
{tenants}",
        arguments.facets
    )
}
