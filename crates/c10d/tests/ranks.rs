//! What several processes do together. Each test starts copies of this program, one per rank.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rstest::rstest;
use tch::{Device, Kind, Tensor};
use teasel_c10d::{BucketSizes, Error, FusedAdam, Operation, ProcessGroup, Reducer, Store, zero_gradients};

const TIMEOUT: Duration = Duration::from_secs(120);
const RANK: &str = "TEASEL_TEST_RANK";
/// Small buckets, so that the few parameters here fill several.
const BUCKETS: BucketSizes = BucketSizes { first: 1 << 10, others: 4 << 10 };

/// One rank of a test, as its process sees it.
struct Rank {
    rank: u32,
    world: u32,
    port: u16,
    folder: PathBuf,
    arguments: Vec<String>,
}

impl Rank {
    /// This process's rank, if a test started it.
    fn of_this_process() -> Option<Rank> {
        let value = std::env::var(RANK).ok()?;
        let mut parts = value.split(',').map(str::to_owned);
        let mut next = || parts.next().unwrap();
        let (rank, world, port, folder) = (next(), next(), next(), next());
        Some(Rank {
            rank: rank.parse().unwrap(),
            world: world.parse().unwrap(),
            port: port.parse().unwrap(),
            folder: folder.into(),
            arguments: parts.collect(),
        })
    }

    fn group(&self) -> ProcessGroup {
        let store = Store::connect("127.0.0.1", self.port, TIMEOUT).unwrap();
        ProcessGroup::gloo(&store, self.rank, self.world, "127.0.0.1", TIMEOUT, "test").unwrap()
    }

    fn write(&self, values: &[f32]) {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        std::fs::write(self.folder.join(format!("rank-{}", self.rank)), bytes).unwrap();
    }
}

/// Starts `world` copies of the test `name`.
fn start(name: &str, world: u32, store: &Store, folder: &Path, arguments: &[String]) -> Vec<Child> {
    (0..world)
        .map(|rank| {
            let port = store.port().unwrap();
            let mut value = format!("{rank},{world},{port},{}", folder.display());
            arguments.iter().for_each(|argument| value.push_str(&format!(",{argument}")));
            Command::new(std::env::current_exe().unwrap())
                .args([name, "--exact", "--nocapture"])
                .env(RANK, value)
                .env("TORCH_CPP_LOG_LEVEL", "ERROR")
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect()
}

/// Runs all ranks to their end and returns what each wrote.
fn run(name: &str, world: u32, arguments: &[String]) -> Vec<Vec<f32>> {
    let store = Store::host("127.0.0.1", 0, TIMEOUT).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for mut child in start(name, world, &store, folder.path(), arguments) {
        assert!(child.wait().unwrap().success(), "a rank of {name} failed");
    }
    (0..world)
        .map(|rank| {
            let bytes = std::fs::read(folder.path().join(format!("rank-{rank}"))).unwrap();
            bytes.chunks_exact(4).map(|value| f32::from_le_bytes(value.try_into().unwrap())).collect()
        })
        .collect()
}

/// A small network with parameters of several sizes, and data, both the same in every process.
struct Problem {
    parameters: Vec<Tensor>,
    inputs: Tensor,
}

const USERS: i64 = 500;

impl Problem {
    fn new() -> Self {
        tch::set_num_threads(1);
        tch::manual_seed(7);
        let random = |rows: i64, columns: i64| Tensor::randn([rows, columns], (Kind::Float, Device::Cpu));
        let parameters = [random(20, 60), random(60, 60), random(60, 60), random(60, 60), random(60, 8)]
            .into_iter()
            .map(|tensor| (tensor * 0.1).set_requires_grad(true))
            .collect();
        Problem { parameters, inputs: random(USERS, 20) }
    }

    fn handles(&self) -> Vec<&Tensor> {
        self.parameters.iter().collect()
    }

    /// Sum of losses over the users from `start`.
    fn loss(&self, start: i64, users: i64) -> Tensor {
        let rows = self.inputs.narrow(0, start, users);
        let hidden = self.parameters.iter().fold(rows, |hidden, weights| hidden.matmul(weights).tanh());
        hidden.square().sum(Kind::Float)
    }

    fn gradients(&self) -> Vec<f32> {
        self.parameters.iter().flat_map(|parameter| flat(&parameter.grad())).collect()
    }
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    Vec::try_from(tensor.detach().reshape([-1])).unwrap()
}

fn relative_difference(left: &[f32], right: &[f32]) -> f64 {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    let pairs = || left.iter().zip(right);
    norm(&mut pairs().map(|(left, right)| f64::from(left - right)))
        / norm(&mut right.iter().map(|value| f64::from(*value)))
}

#[rstest]
#[case::one(&[500])]
#[case::two(&[250, 250])]
#[case::nobody_in_one(&[500, 0])]
#[case::uneven(&[450, 49, 1])]
#[case::nearly_even(&[167, 167, 166])]
#[case::nobody_in_two(&[500, 0, 0])]
#[case::four(&[1, 299, 0, 200])]
fn all_reduced_gradients_are_those_of_one_process(#[case] split: &[i64]) {
    if let Some(rank) = Rank::of_this_process() {
        let split: Vec<i64> = rank.arguments.iter().map(|users| users.parse().unwrap()).collect();
        let (problem, group) = (Problem::new(), rank.group());
        let mut reducer = Reducer::new(&group, &problem.handles(), BUCKETS).unwrap();
        assert!(reducer.bucket_count().unwrap() >= 4);
        let start = split[..rank.rank as usize].iter().sum();
        // Twice, since the second backward pass runs on other buckets.
        for _ in 0..2 {
            zero_gradients(&problem.handles()).unwrap();
            reducer.prepare_forward().unwrap();
            let scale = f64::from(rank.world) / USERS as f64;
            let loss = problem.loss(start, split[rank.rank as usize]) * scale;
            reducer.backward(&loss).unwrap();
        }
        return rank.write(&problem.gradients());
    }
    let problem = Problem::new();
    (problem.loss(0, USERS) / USERS as f64).backward();
    let expected = problem.gradients();
    let arguments: Vec<String> = split.iter().map(ToString::to_string).collect();
    let name = std::thread::current().name().unwrap().to_owned();
    for gradients in run(&name, split.len() as u32, &arguments) {
        let difference = relative_difference(&gradients, &expected);
        assert!(difference <= 1e-5, "{split:?}: {difference:e}");
    }
}

/// Trains from step `first` to `last`; state goes through `state` between the two halves.
fn train(rank: &Rank, first: u64, last: u64, state: Option<Vec<f32>>) -> Vec<f32> {
    let (problem, group) = (Problem::new(), rank.group());
    let mut adam = FusedAdam::new(&problem.handles(), 1e-2).unwrap();
    let all = |adam: &FusedAdam| -> Vec<Tensor> {
        let state = adam.state().into_iter().map(|(_, tensor)| tensor);
        problem.parameters.iter().map(Tensor::detach).chain(state).collect()
    };
    if let Some(state) = state {
        let mut rest = &state[..];
        for mut tensor in all(&adam) {
            let (own, others) = rest.split_at(tensor.numel());
            tensor.copy_(&Tensor::from_slice(own).view(&tensor.size()[..]));
            rest = others;
        }
    }
    let mut reducer = Reducer::new(&group, &problem.handles(), BUCKETS).unwrap();
    // The pass before the first step, without which a resumed run has other bits.
    reducer.prepare_forward().unwrap();
    reducer.backward(&(problem.loss(0, 1) * 0.0)).unwrap();
    let share = USERS / i64::from(rank.world);
    for step in first..last {
        zero_gradients(&problem.handles()).unwrap();
        reducer.prepare_forward().unwrap();
        let start = (i64::from(rank.rank) * share + step as i64 * 37) % (USERS - share);
        reducer.backward(&problem.loss(start, share)).unwrap();
        adam.step(&problem.handles()).unwrap();
    }
    all(&adam).iter().flat_map(flat).collect()
}

#[rstest]
#[case::two(2)]
#[case::three(3)]
#[case::four(4)]
fn a_resumed_run_is_bitwise_that_of_an_undisturbed_one(#[case] world: u32) {
    if let Some(rank) = Rank::of_this_process() {
        let steps: Vec<u64> = rank.arguments[..2].iter().map(|step| step.parse().unwrap()).collect();
        let state = rank.arguments.get(2).map(|file| {
            let bytes = std::fs::read(file).unwrap();
            bytes.chunks_exact(4).map(|value| f32::from_le_bytes(value.try_into().unwrap())).collect()
        });
        return rank.write(&train(&rank, steps[0], steps[1], state));
    }
    let name = std::thread::current().name().unwrap().to_owned();
    let whole = run(&name, world, &["0".into(), "8".into()]);
    let half = run(&name, world, &["0".into(), "3".into()]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state");
    std::fs::write(&file, half[0].iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>()).unwrap();
    let resumed = run(&name, world, &["3".into(), "8".into(), file.display().to_string()]);
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    for rank in 0..world as usize {
        assert_eq!(bits(&whole[rank]), bits(&whole[0]), "rank {rank} differs from rank 0");
        assert_eq!(bits(&resumed[rank]), bits(&whole[rank]), "rank {rank} differs after resuming");
    }
}

#[test]
fn a_killed_peer_is_noticed_long_before_the_timeout() {
    if let Some(rank) = Rank::of_this_process() {
        let group = rank.group();
        let tensor = Tensor::ones([1000], (Kind::Float, Device::Cpu));
        std::fs::write(rank.folder.join(format!("ready-{}", rank.rank)), "").unwrap();
        loop {
            match group.all_reduce(&[&tensor], Operation::Maximum) {
                Ok(()) => {}
                Err(Error::PeerLost(_)) => return rank.write(&[1.0]),
                Err(other) => panic!("not a lost peer: {other:?}"),
            }
        }
    }
    let store = Store::host("127.0.0.1", 0, TIMEOUT).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let name = std::thread::current().name().unwrap().to_owned();
    let mut children = start(&name, 2, &store, folder.path(), &[]);
    let deadline = Instant::now() + TIMEOUT;
    while (0..2).any(|rank| !folder.path().join(format!("ready-{rank}")).exists()) {
        assert!(Instant::now() < deadline, "the ranks never met");
        std::thread::sleep(Duration::from_millis(10));
    }
    children[1].kill().unwrap();
    children[1].wait().unwrap();
    assert!(children[0].wait().unwrap().success());
    assert!(folder.path().join("rank-0").exists());
}
