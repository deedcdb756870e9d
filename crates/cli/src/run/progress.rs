//! What people see while workers run.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use teasel_api::progress::{EpochRecord, Progress};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a worker may take to answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// Looks at a running worker now and then.
pub(crate) trait Poll {
    /// Looks at the worker whose files lie in `folder`.
    fn poll<'a>(&'a mut self, folder: &'a Path) -> std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>;
    /// Takes the last progress of the worker, which has ended.
    fn finish(&mut self, folder: &Path);
}

/// A bar on a terminal; elsewhere one line per epoch.
pub(crate) struct Display {
    title: String,
    bar: Option<ProgressBar>,
    notices_shown: usize,
    epochs_shown: usize,
}

impl Display {
    /// A display of a task.
    pub(crate) fn new(title: impl Into<String>) -> Self {
        let title = title.into();
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{prefix:>12} {bar:30} {percent:>3} % {msg}");
            let bar = ProgressBar::new(1000).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_prefix(title.clone());
            bar
        });
        if bar.is_none() {
            eprintln!("{title}");
        }
        Display { title, bar, notices_shown: 0, epochs_shown: 0 }
    }

    fn show(&mut self, progress: &Progress) {
        for notice in progress.notices.iter().skip(self.notices_shown) {
            match &self.bar {
                Some(bar) => bar.println(format!("{:>12} {notice}", "")),
                None => eprintln!("{}: {notice}", self.title),
            }
        }
        self.notices_shown = self.notices_shown.max(progress.notices.len());
        for epoch in progress.history.iter().skip(self.epochs_shown) {
            if self.bar.is_none() {
                eprintln!("{}", epoch_line(epoch, progress.epochs));
            }
        }
        self.epochs_shown = self.epochs_shown.max(progress.history.len());
        if let Some(bar) = &self.bar {
            bar.set_position((progress.percent * 10.0).clamp(0.0, 1000.0) as u64);
            bar.set_message(message(progress));
        }
    }

    /// Ends the display with a sentence.
    pub(crate) fn end(self, sentence: &str) {
        match self.bar {
            Some(bar) => {
                bar.finish_and_clear();
                eprintln!("{:>12} {sentence}", self.title);
            }
            None => eprintln!("{}: {sentence}", self.title),
        }
    }
}

impl Poll for Display {
    fn poll<'a>(&'a mut self, folder: &'a Path) -> std::pin::Pin<Box<dyn Future<Output = ()> + 'a>> {
        Box::pin(async move {
            if let Some(progress) = ask(folder).await {
                self.show(&progress);
            }
        })
    }

    fn finish(&mut self, folder: &Path) {
        let last = std::fs::read(folder.join("progress.json")).ok();
        if let Some(progress) = last.and_then(|bytes| serde_json::from_slice::<Progress>(&bytes).ok()) {
            self.show(&progress);
        }
    }
}

/// A display of nothing, for tasks that take no time.
pub(super) struct Silent;

impl Poll for Silent {
    fn poll<'a>(&'a mut self, _folder: &'a Path) -> std::pin::Pin<Box<dyn Future<Output = ()> + 'a>> {
        Box::pin(std::future::ready(()))
    }

    fn finish(&mut self, _folder: &Path) {}
}

async fn ask(folder: &Path) -> Option<Progress> {
    let address: SocketAddr = std::fs::read_to_string(folder.join("address")).ok()?.trim().parse().ok()?;
    let asked = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(b"GET /progress HTTP/1.0\r\nHost: localhost\r\n\r\n").await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        let body = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        serde_json::from_slice(&answer[body..]).ok()
    };
    tokio::time::timeout(PATIENCE, asked).await.ok()?
}

fn message(progress: &Progress) -> String {
    let mut parts = Vec::new();
    if progress.epochs > 0 {
        parts.push(format!("epoch {}/{}", progress.epoch.min(progress.epochs), progress.epochs));
    }
    if progress.users_per_second > 0.0 {
        parts.push(format!("{:.0} users/s", progress.users_per_second));
    }
    parts.extend(progress.loss.map(|loss| format!("loss {loss:.2}")));
    parts.extend(progress.metrics.iter().map(|(name, value)| format!("{name} {value:.3}")).take(1));
    if parts.is_empty() {
        parts.push(progress.message.clone());
    }
    parts.join(", ")
}

fn epoch_line(epoch: &EpochRecord, epochs: u32) -> String {
    let metrics: Vec<_> = epoch.validation.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
    format!(
        "epoch {}/{epochs}: likelihood loss {:.3}, divergence {:.3}, {}",
        epoch.epoch,
        epoch.negative_log_likelihood,
        epoch.divergence,
        metrics.join(", ")
    )
}
