//! Which of this machine's GPUs each training worker sees: its own, as it would in a pod.

use teasel_api::resolved::Device;
use teasel_api::task::{Task, TaskFile};

/// CUDA's own variable.
const VISIBLE: &str = "CUDA_VISIBLE_DEVICES";

/// What worker `index` finds in its environment, where it trains on GPUs: as many as it has ranks, and none of another
/// worker's. A choice that was made for all of `teasel` is divided up.
pub(super) fn of_worker(file: &TaskFile, index: u32) -> Option<(&'static str, String)> {
    let Task::Train(task) = &file.task else { return None };
    let training = &task.job.training;
    let chosen = std::env::var(VISIBLE).ok();
    (training.device == Device::Cuda)
        .then(|| (VISIBLE, share(chosen.as_deref(), index as usize, training.processes_per_worker as usize)))
}

/// The part of worker `index` of the devices `chosen`, unset for all of the machine's. CUDA ignores those that aren't
/// there.
fn share(chosen: Option<&str>, index: usize, per_worker: usize) -> String {
    let own = index * per_worker..(index + 1) * per_worker;
    let names: Vec<String> = match chosen {
        Some(chosen) => chosen.split(',').skip(own.start).take(per_worker).map(|name| name.trim().into()).collect(),
        None => own.map(|place| place.to_string()).collect(),
    };
    names.join(",")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    #[rstest]
    #[case::first(None, 0, 1, "0")]
    #[case::second(None, 1, 1, "1")]
    #[case::two_each(None, 1, 2, "2,3")]
    #[case::of_a_choice(Some("4, 5,6,7"), 1, 2, "6,7")]
    #[case::by_name(Some("GPU-a,GPU-b"), 1, 1, "GPU-b")]
    #[case::too_few(Some("4"), 1, 1, "")]
    #[case::none(Some(""), 0, 2, "")]
    fn workers_share_no_gpu(
        #[case] chosen: Option<&str>,
        #[case] index: usize,
        #[case] per_worker: usize,
        #[case] share: &str,
    ) {
        assert_eq!(super::share(chosen, index, per_worker), share);
    }
}
