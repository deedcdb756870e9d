//! Prepares generated interactions and prints speed and peak memory:
//! `cargo run -p teasel-data --example prepare_generated -- [INTERACTIONS] [MEMORY_MIB] [PARTITIONS]`.
//!
//! Files of interactions are written by a process of their own (this one, called again), so that the memory of
//! generating them doesn't count.

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use teasel_api::location::Location;
use teasel_api::outcome::Usage;
use teasel_api::resolved::Data;
use teasel_api::task::TenantSelector;
use teasel_data::{Options, Places, Progress, prepare};
use teasel_storage::{Credentials, Store};
use teasel_synthetic::Generator;

const FILES: u64 = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, folder, interactions] = arguments.as_slice()
        && word == "generate"
    {
        return generate(Path::new(folder), interactions.parse()?);
    }
    let number = |position: usize, default: u64| arguments.get(position).map_or(Ok(default), |text| text.parse());
    let (interactions, memory, partitions) = (number(0, 20_000_000)?, number(1, 1024)?, number(2, 2)?);

    let folder = tempfile::tempdir()?;
    let status = std::process::Command::new(std::env::current_exe()?)
        .arg("generate")
        .arg(folder.path())
        .arg(interactions.to_string())
        .status()?;
    if !status.success() {
        return Err("generating failed".into());
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(partitions as usize).enable_all().build()?;
    let begin = Instant::now();
    let prepared = runtime.block_on(async {
        let data = data(folder.path())?;
        let location = Location { uri: format!("file://{}/storage", folder.path().display()), secret_ref: None };
        let storage = Store::open(&location, &Credentials::none())?;
        let places = Places::open_with(&data, |_| Credentials::none())?;
        let tenants = [TenantSelector { name: "tenant-1".into(), value: "tenant-1".into() }];
        let options = Options {
            memory_bytes: memory << 20,
            scratch: folder.path().to_owned(),
            partitions: partitions as usize,
            usage: || Usage { seconds: 0.0, peak_memory_bytes: None },
        };
        let progress = Arc::new(Progress::default());
        Ok::<_, Box<dyn Error>>(prepare(&data, &places, &storage, &tenants, &options, &progress).await?)
    })?;
    let seconds = begin.elapsed().as_secs_f64();
    println!("{}", serde_json::to_string_pretty(&prepared.report)?);
    println!("{interactions} rows in {seconds:.1} s: {:.0} rows/s", interactions as f64 / seconds);
    println!("peak resident memory: {}", peak_memory().unwrap_or_else(|| "unknown".into()));
    Ok(())
}

fn data(folder: &Path) -> Result<Data, Box<dyn Error>> {
    let place = |name: &str| serde_json::json!({"uri": format!("file://{}/{name}", folder.display())});
    Ok(serde_json::from_value(serde_json::json!({
        "interactions": {
            "location": place("interactions"), "format": null,
            "columns": {
                "user": "user_id", "item": "item_id", "event": "event", "rating": null, "timestamp": "timestamp",
                "tenant": "tenant",
            },
            "events": {"view": 1.0, "click": 2.0, "buy": 8.0},
            "minimumRating": null, "weighting": "Log", "onBadRows": "Fail", "maximumBadRows": 0,
        },
        "items": {
            "location": place("items.csv"), "format": null, "categorySeparator": "|",
            "columns": {"item": "item_id", "text": ["title", "text"], "image": null, "categories": "categories"},
        },
        "minimumInteractions": {"user": 5, "item": 5},
        "split": {"type": "strongGeneralization", "seed": 1, "validation": 0.1, "test": 0.1, "heldOut": 0.2},
    }))?)
}

fn generate(folder: &Path, interactions: u64) -> Result<(), Box<dyn Error>> {
    let users = (interactions / 100).max(FILES);
    let generator = Generator::new(teasel_synthetic::Options {
        users,
        items: 50_000,
        facets: 20,
        interactions,
        seed: 1,
        tenants: 2,
    })?;
    teasel_synthetic::write_items(&generator, BufWriter::new(File::create(folder.join("items.csv"))?))?;
    std::fs::create_dir(folder.join("interactions"))?;
    for file in 0..FILES {
        let mut target = BufWriter::new(File::create(folder.join(format!("interactions/{file}.csv")))?);
        writeln!(target, "user_id,item_id,event,timestamp,tenant")?;
        // Every file holds users of all ranges, as files by day would.
        for user in (file..users).step_by(FILES as usize).map(|user| generator.user(user)) {
            for interaction in &user.interactions {
                writeln!(
                    target,
                    "{},{},{},{},{}",
                    user.id,
                    generator.item_id(interaction.item),
                    interaction.event,
                    interaction.timestamp,
                    user.tenant
                )?;
            }
        }
        target.flush()?;
    }
    Ok(())
}

/// The kernel's high-water mark of this process.
fn peak_memory() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    Some(status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().to_owned())
}
