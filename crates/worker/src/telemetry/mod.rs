//! What a running worker tells about itself: `GET /progress`, `/metrics` and `/healthz`.

mod progress;
mod server;

pub(crate) use progress::ProgressHandle;
pub(crate) use server::serve;
