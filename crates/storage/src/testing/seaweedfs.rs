//! A real S3 server for tests.

use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use object_store::aws::AmazonS3Builder;
use object_store::{ClientOptions, ObjectStoreExt, PutPayload, RetryConfig};
use teasel_api::location::{Location, SecretRef};

use super::workspace;
use crate::Credentials;

const ACCESS_KEY: &str = "teasel";
const SECRET_KEY: &str = "only for tests";
const BUCKET: &str = "teasel";

/// How long the server may take until it answers.
const START: Duration = Duration::from_secs(180);

/// Somebody whom the server knows.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Name, and access key.
    pub name: String,
    /// What it may do: `Read`, `Write`, `List` and so on, for one bucket or prefix after a colon.
    pub actions: Vec<String>,
}

impl Identity {
    /// An identity and what it may do.
    pub fn new(name: &str, actions: &[&str]) -> Self {
        Identity { name: name.to_owned(), actions: actions.iter().map(|action| (*action).to_owned()).collect() }
    }

    fn secret_key(&self) -> String {
        format!("{} {SECRET_KEY}", self.name)
    }
}

/// A SeaweedFS server on free ports and a temporary folder, killed when dropped. It checks signatures.
#[derive(Debug)]
pub struct SeaweedFs {
    server: Child,
    address: String,
    port: u16,
    folder: tempfile::TempDir,
}

impl SeaweedFs {
    /// The server's program, as `scripts/seaweedfs` of this workspace installs it.
    ///
    /// # Errors
    /// Where the script fails, with what it said.
    pub fn program() -> io::Result<PathBuf> {
        let script = workspace()?.join("scripts/seaweedfs");
        let output = Command::new(&script).stderr(Stdio::inherit()).output()?;
        let path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !output.status.success() || path.is_empty() {
            return Err(io::Error::other(format!("{} failed: {}", script.display(), output.status)));
        }
        Ok(path.into())
    }

    /// Starts the server and waits until it takes an object.
    ///
    /// # Errors
    /// Where it ends or isn't ready within a minute, with the end of its log.
    pub async fn start() -> io::Result<Self> {
        Self::start_at("127.0.0.1", &[]).await
    }

    /// As [`SeaweedFs::start`], at an address of this machine, and with further identities.
    ///
    /// # Errors
    /// As [`SeaweedFs::start`].
    pub async fn start_at(address: &str, identities: &[Identity]) -> io::Result<Self> {
        let program = Self::program()?;
        // Ports are free when they are chosen and may be taken a moment later.
        let mut last = io::Error::other("not started");
        for _ in 0..3 {
            match Self::start_once(&program, address, identities).await {
                Ok(server) => return Ok(server),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn start_once(program: &Path, address: &str, identities: &[Identity]) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("s3.json");
        let mut known = vec![serde_json::json!({
            "name": "tests",
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        })];
        known.extend(identities.iter().map(|identity| {
            serde_json::json!({
                "name": identity.name,
                "credentials": [{"accessKey": identity.name, "secretKey": identity.secret_key()}],
                "actions": identity.actions,
            })
        }));
        std::fs::write(&config, serde_json::json!({ "identities": known }).to_string())?;
        let log = folder.path().join("log");
        let data = folder.path().join("data");
        std::fs::create_dir(&data)?;
        let [port, master, volume, filer] = free_ports()?;
        let server = Command::new(program)
            .args(["-logtostderr=true", "server"])
            .args([format!("-ip={address}"), format!("-ip.bind={address}")])
            .args(["-master.telemetry=false", "-master.volumeSizeLimitMB=64", "-volume.max=0", "-filer", "-s3"])
            .arg(format!("-dir={}", data.display()))
            .arg(format!("-s3.config={}", config.display()))
            .arg(format!("-s3.port={port}"))
            .args([format!("-master.port={master}"), format!("-master.port.grpc={}", master + 10_000)])
            .args([format!("-volume.port={volume}"), format!("-volume.port.grpc={}", volume + 10_000)])
            .args([format!("-filer.port={filer}"), format!("-filer.port.grpc={}", filer + 10_000)])
            .arg(format!("-s3.port.grpc={}", port + 10_000))
            // Catalogues at fixed ports, which a second server would find taken.
            .args(["-s3.port.iceberg=0", "-s3.port.lance=0"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()?;
        let mut server = SeaweedFs { server, address: address.to_owned(), port, folder };
        let deadline = Instant::now() + START;
        loop {
            if server.server.try_wait()?.is_some() || Instant::now() > deadline {
                let text = std::fs::read_to_string(&log)?;
                let end: Vec<_> = text.lines().rev().take(10).collect();
                return Err(io::Error::other(format!("SeaweedFS isn't ready: {end:#?}")));
            }
            if server.is_ready().await {
                return Ok(server);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Makes the bucket and writes an object: the master answers long before volumes can be written.
    async fn is_ready(&self) -> bool {
        let bucket = async {
            let request = AmazonS3Builder::new()
                .with_bucket_name(BUCKET)
                .with_endpoint(self.endpoint())
                .with_access_key_id(ACCESS_KEY)
                .with_secret_access_key(SECRET_KEY)
                .with_client_options(
                    ClientOptions::new().with_allow_http(true).with_timeout(Duration::from_secs(5)),
                )
                .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
                .build()?;
            request.put(&".ready".into(), PutPayload::from_static(b"ready")).await
        };
        bucket.await.is_ok()
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.server.id()
    }

    /// URL of the server.
    pub fn endpoint(&self) -> String {
        format!("http://{}:{}", self.address, self.port)
    }

    /// A place on the server.
    pub fn location(&self, prefix: &str) -> Location {
        Location {
            uri: format!("s3://{BUCKET}/{prefix}"),
            secret_ref: Some(SecretRef { name: "seaweedfs".into() }),
        }
    }

    /// Credentials by the names that a secret has, in upper case.
    pub fn pairs(&self) -> Vec<(String, String)> {
        self.keys(ACCESS_KEY, SECRET_KEY)
    }

    /// An identity's credentials by the names that a secret has.
    pub fn pairs_of(&self, identity: &Identity) -> Vec<(String, String)> {
        self.keys(&identity.name, &identity.secret_key())
    }

    fn keys(&self, access: &str, secret: &str) -> Vec<(String, String)> {
        let pairs = [
            ("AWS_ACCESS_KEY_ID", access.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", secret.to_owned()),
            ("AWS_ENDPOINT", self.endpoint()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value)).into()
    }

    /// Credentials that the server takes.
    pub fn credentials(&self) -> Credentials {
        Credentials::from_pairs(self.pairs())
    }

    /// Credentials with another secret key, which it refuses.
    pub fn wrong_credentials(&self) -> Credentials {
        let wrong = [("AWS_SECRET_ACCESS_KEY".to_owned(), "wrong".to_owned())];
        Credentials::from_pairs(self.pairs().into_iter().chain(wrong))
    }

    /// The server's own data and log.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for SeaweedFs {
    /// SIGKILL: on SIGTERM it takes 16 seconds.
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Where ports are looked for: below those that the kernel gives to clients, as their companions are.
const PORTS: std::ops::Range<u16> = 20_000..22_700;
/// How far above a port its gRPC companion is.
const COMPANION: u16 = 10_000;

/// Free ports whose companions are free too. They are looked for from somewhere on, so that servers which start at the
/// same time don't meet.
fn free_ports() -> io::Result<[u16; 4]> {
    let first = (uuid::Uuid::new_v4().as_u128() % PORTS.len() as u128) as usize;
    let mut held = Vec::new();
    let mut ports = PORTS.cycle().skip(first).take(PORTS.len());
    let mut free = || {
        ports.find(|port| {
            let listeners = [*port, port + COMPANION].map(|port| TcpListener::bind(("127.0.0.1", port)));
            let free = listeners.iter().all(Result::is_ok);
            held.extend(listeners);
            free
        })
    };
    let mut found = [0; 4];
    for port in &mut found {
        *port = free().ok_or_else(|| io::Error::other("no port is free"))?;
    }
    Ok(found)
}
