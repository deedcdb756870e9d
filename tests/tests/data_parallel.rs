//! Any number of ranks trains the same model.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::{Command, Stdio};
use std::time::Duration;

use rstest::rstest;
use serde_json::json;
use teasel_c10d::{BucketSizes, ProcessGroup, Reducer, Store, zero_gradients};
use teasel_model::{BatchInput, Config, FacetVae, Likelihood};
use teasel_tests::project::Project;
use teasel_tests::runs::{events, newest_checkpoint, only_run, parameters, relative_difference};

const TIMEOUT: Duration = Duration::from_secs(300);
const RANK: &str = "TEASEL_TEST_RANK";
const USERS: usize = 500;
const ITEMS: usize = 300;
/// A step in the middle of training: dropout, noise and the divergence's weight are on.
const STEP: u64 = 7;
/// Small buckets, so that the parameters fill several.
const BUCKETS: BucketSizes = BucketSizes { first: 512, others: 1 << 10 };

fn model(likelihood: Likelihood) -> FacetVae {
    tch::set_num_threads(1);
    FacetVae::new(Config {
        items: ITEMS,
        facets: 4,
        dimensions: 16,
        likelihood,
        temperature: 0.1,
        prior_deviation: 0.075,
        dropout: 0.5,
        kl_weight: 0.2,
        kl_anneal_steps: 20,
        seed: 3,
        content: None,
    })
    .unwrap()
}

/// The gradients of users `from..to` of a fixed batch, summed over them and divided by all users, after `reducer` has
/// averaged them where there is one.
fn gradients(vae: &mut FacetVae, reducer: Option<&mut Reducer>, from: usize, to: usize, world: u32) -> Vec<f32> {
    let (mut offsets, mut items) = (vec![0i64], Vec::new());
    for user in from..to {
        let mut row: Vec<i64> =
            (0..5 + user % 40).map(|place| ((user * 31 + place * place * 7) % ITEMS) as i64).collect();
        row.sort_unstable();
        row.dedup();
        items.extend(row);
        offsets.push(items.len() as i64);
    }
    let keys: Vec<u64> = (from as u64..to as u64).collect();
    let batch = BatchInput { offsets: &offsets, items: &items, weights: None, user_keys: &keys };
    let scale = f64::from(world) / USERS as f64;
    match reducer {
        Some(reducer) => {
            reducer.prepare_forward().unwrap();
            let loss = vae.loss(&batch, STEP).unwrap().objective * scale;
            reducer.backward(&loss).unwrap();
        }
        None => (vae.loss(&batch, STEP).unwrap().objective * scale).backward(),
    }
    vae.parameters()
        .iter()
        .flat_map(|(_, parameter)| Vec::<f32>::try_from(parameter.grad().reshape([-1])).unwrap())
        .collect()
}

#[rstest]
#[case::nearly_even(&[167, 167, 166], false)]
#[case::uneven(&[450, 49, 1], false)]
#[case::nobody_in_two(&[500, 0, 0], false)]
#[case::four(&[1, 299, 0, 200], false)]
#[case::gaussian(&[450, 49, 1], true)]
fn all_reduced_gradients_of_the_model_are_those_of_one_process(#[case] split: &[usize], #[case] gaussian: bool) {
    let likelihood = if gaussian { Likelihood::Gaussian { variance_floor: 0.01 } } else { Likelihood::Multinomial };
    if let Ok(this) = std::env::var(RANK) {
        let (rank, rest) = this.split_once(' ').unwrap();
        let (port, file) = rest.split_once(' ').unwrap();
        let (rank, world) = (rank.parse::<u32>().unwrap(), split.len() as u32);
        let store = Store::connect("127.0.0.1", port.parse().unwrap(), TIMEOUT).unwrap();
        let group = ProcessGroup::gloo(&store, rank, world, "127.0.0.1", TIMEOUT, "test").unwrap();
        let mut vae = model(likelihood);
        let tensors: Vec<_> = vae.parameters().iter().map(|(_, tensor)| tensor.shallow_clone()).collect();
        let tensors: Vec<_> = tensors.iter().collect();
        let mut reducer = Reducer::new(&group, &tensors, BUCKETS).unwrap();
        assert!(reducer.bucket_count().unwrap() >= 4);
        let from = split[..rank as usize].iter().sum();
        let mut last = Vec::new();
        // Twice, since the second backward pass runs on other buckets.
        for _ in 0..2 {
            zero_gradients(&tensors).unwrap_or_default();
            last = gradients(&mut vae, Some(&mut reducer), from, from + split[rank as usize], world);
        }
        let bytes: Vec<u8> = last.iter().flat_map(|value| value.to_le_bytes()).collect();
        std::fs::write(file, bytes).unwrap();
        return;
    }
    let expected = gradients(&mut model(likelihood), None, 0, USERS, 1);
    let store = Store::host("127.0.0.1", 0, TIMEOUT).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let name = std::thread::current().name().unwrap().to_owned();
    let ranks: Vec<_> = (0..split.len())
        .map(|rank| {
            let file = folder.path().join(rank.to_string());
            let child = Command::new(std::env::current_exe().unwrap())
                .args([&name, "--exact", "--nocapture"])
                .env(RANK, format!("{rank} {} {}", store.port().unwrap(), file.display()))
                .env("TORCH_CPP_LOG_LEVEL", "ERROR")
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            (child, file)
        })
        .collect();
    for (mut child, file) in ranks {
        assert!(child.wait().unwrap().success());
        let bytes = std::fs::read(file).unwrap();
        let actual: Vec<f32> =
            bytes.chunks_exact(4).map(|value| f32::from_le_bytes(value.try_into().unwrap())).collect();
        let difference = relative_difference(&actual, &expected);
        assert!(difference <= 1e-5, "{split:?}: {difference:e}");
    }
}

#[test]
fn twenty_steps_of_one_two_and_three_ranks_give_the_same_parameters() {
    let project = Project::generate(250, 60, 4000);
    let trained = [1, 2, 3].map(|workers| {
        let name = format!("of-{workers}");
        let job = project.job(&name, |spec| {
            spec["training"] = json!({
                "workers": workers, "epochs": 5, "batchSize": 50, "earlyStopping": {"patience": 5},
            });
        });
        project.run(&job);
        let run = only_run(&project.path(&format!("{name}-storage")));
        let steps = events(&run, "checkpoint").pop().unwrap()["step"].as_u64().unwrap();
        assert_eq!(steps, 20, "the data makes four batches an epoch");
        parameters(&std::fs::read(newest_checkpoint(&run, "model.safetensors").unwrap()).unwrap())
    });
    for other in &trained[1..] {
        let difference = relative_difference(other, &trained[0]);
        assert!(difference <= 1e-5, "{difference:e}");
    }
}
