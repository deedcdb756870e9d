//! A whole job on a real S3 server.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use serde_json::json;
use teasel_storage::output::current;
use teasel_storage::testing::SeaweedFs;
use teasel_storage::{Credentials, Store};
use teasel_tests::project::Project;

fn secret(project: &Project, name: &str, server: &SeaweedFs, pairs: &[(&str, &str)]) -> String {
    let mut lines: Vec<String> = server
        .pairs()
        .into_iter()
        .map(|(key, value)| {
            let changed = pairs.iter().find(|(name, _)| *name == key).map(|(_, value)| (*value).to_owned());
            format!("{key}={}", changed.unwrap_or(value))
        })
        .collect();
    lines.push("# a comment".into());
    let file: PathBuf = project.path(&format!("{name}.env"));
    std::fs::write(&file, lines.join("\n")).unwrap();
    format!("{name}={}", file.display())
}

#[tokio::test]
async fn a_job_runs_on_s3_with_a_secret_for_each_place() {
    let server = SeaweedFs::start().await.unwrap();
    let project = Project::generate(200, 60, 4000);
    let place = |path: &str, secret: &str| json!({"uri": server.location(path).uri, "secretRef": {"name": secret}});
    project.job("job", |spec| {
        spec["storage"] = place("films", "films");
        spec["training"]["workers"] = json!(2);
        for number in [1, 2] {
            let tenant = &mut spec["scoring"]["tenants"][number - 1];
            tenant["storage"] = json!({"secretRef": {"name": "films"}});
            tenant["output"] = place(&format!("tenant-{number}/lists"), &format!("tenant-{number}"));
        }
    });
    let arguments = |names: &[&str]| -> Vec<String> {
        let secrets = names.iter().flat_map(|name| ["--secret".to_owned(), secret(&project, name, &server, &[])]);
        ["run", "--json", "job.yaml"].map(str::to_owned).into_iter().chain(secrets).collect()
    };
    let teasel = |arguments: &[String]| project.teasel(&arguments.iter().map(String::as_str).collect::<Vec<_>>());

    let missing = teasel(&arguments(&["films"]));
    assert_eq!(missing.code(), 78, "{missing:?}");
    assert!(missing.err.contains("--secret tenant-1=FILE --secret tenant-2=FILE"), "{missing:?}");

    let mut refused = arguments(&["films", "tenant-1"]);
    let wrong = secret(&project, "tenant-2", &server, &[("AWS_SECRET_ACCESS_KEY", "guessed")]);
    refused.extend(["--secret".to_owned(), wrong]);
    let refused = teasel(&refused);
    assert_eq!(refused.code(), 77, "{refused:?}");
    assert!(refused.err.contains("tenant-2/lists") && !refused.err.contains("guessed"), "{refused:?}");

    let result = teasel(&arguments(&["films", "tenant-1", "tenant-2"])).json();
    let credentials: Credentials = server.credentials();
    for number in [1, 2] {
        let output = Store::open(&server.location(&format!("tenant-{number}/lists")), &credentials).unwrap();
        let published = current(&output).await.unwrap().unwrap();
        assert_eq!(published.run, result["run"].as_str().unwrap());
        for file in published.files {
            let bytes = output.get(&file).await.unwrap();
            assert_eq!(&bytes[..4], b"PAR1");
        }
    }
    let again = teasel(&arguments(&["films", "tenant-1", "tenant-2"])).json();
    assert_eq!(again["run"], result["run"]);
}

#[tokio::test]
async fn a_store_that_is_gone_is_reported_as_unavailable() {
    let server = SeaweedFs::start().await.unwrap();
    let project = Project::generate(200, 60, 4000);
    let location = server.location("films");
    project.job("job", |spec| spec["storage"] = json!({"uri": location.uri, "secretRef": {"name": "films"}}));
    let given = secret(&project, "films", &server, &[]);
    drop(server);
    let ended = project.teasel(&["run", "job.yaml", "--secret", &given]);
    assert_eq!(ended.code(), 69, "{ended:?}");
    assert!(ended.err.contains(&location.uri), "{ended:?}");
}
