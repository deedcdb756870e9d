//! What a running worker tells about itself: `GET /progress`, `/metrics` and `/healthz`.

mod progress;
mod server;

pub use progress::{Progress, ProgressHandle};
pub use server::serve;
