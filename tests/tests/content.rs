//! Large pretrained models read the items: once, on all ranks, and what they read decides facets.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use rstest::rstest;
use safetensors::SafeTensors;
use serde_json::{Value, json};
use teasel_storage::testing::workspace;
use teasel_tests::lists::published;
use teasel_tests::project::Project;
use teasel_tests::runs;

/// A small model of `crates/content`'s tests.
fn encoder(name: &str) -> PathBuf {
    workspace().unwrap().join("crates/content/tests/models").join(name)
}

/// A copy of one, to be broken.
fn copied(project: &Project, name: &str) -> PathBuf {
    let copy = project.path("encoder");
    std::fs::create_dir_all(&copy).unwrap();
    for entry in std::fs::read_dir(encoder(name)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    copy
}

fn text(folder: &Path) -> Value {
    json!({"text": {"encoder": {"location": {"uri": folder}}}})
}

fn job(project: &Project, name: &str, content: &Value, change: impl FnOnce(&mut Value)) -> PathBuf {
    project.job(name, |spec| {
        spec["model"]["content"] = content.clone();
        spec["training"]["workers"] = json!(2);
        change(spec);
    })
}

/// Entries of the logs of all features in a storage, by their files.
fn parts(storage: &Path) -> Vec<(PathBuf, Value)> {
    let logs = runs::folders(&storage.join("features")).into_iter().map(|folder| folder.join("log"));
    let mut files: Vec<PathBuf> =
        logs.flat_map(|log| std::fs::read_dir(log).unwrap()).map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: &PathBuf| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    files.iter().map(|path| (path.clone(), read(path))).collect()
}

fn contents(parts: &[(PathBuf, Value)]) -> usize {
    parts.iter().map(|(_, part)| part["contents"].as_array().unwrap().len()).sum()
}

/// How near each item's contents are to the facets' centres, item by item, of a model.
fn cosines(model: &[u8]) -> Vec<Vec<f32>> {
    let model = SafeTensors::deserialize(model).unwrap();
    let stored = model.tensor("content.cosines").unwrap();
    let numbers: Vec<f32> =
        stored.data().chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
    let items = stored.shape()[2];
    (0..items).map(|item| numbers.iter().skip(item).step_by(items).copied().collect()).collect()
}

/// Lines of the items' file, the first of which names the columns.
fn items(project: &Project) -> Vec<String> {
    std::fs::read_to_string(project.path("items.csv")).unwrap().lines().map(str::to_owned).collect()
}

fn write_items(project: &Project, lines: &[String]) {
    std::fs::write(project.path("items.csv"), lines.join("\n") + "\n").unwrap();
}

#[test]
fn contents_are_read_once_and_place_items_alike_whoever_read_them() {
    let project = Project::generate(400, 1300, 9000);
    let file = job(&project, "films", &text(&encoder("bert")), |spec| {
        spec["data"]["minimumInteractions"] = json!({"item": 1});
    });
    let storage = project.path("films-storage");
    let run = |fresh: bool| {
        let arguments = ["run", "--json", file.to_str().unwrap(), "--fresh"];
        let result = project.teasel(&arguments[..if fresh { 4 } else { 3 }]).json();
        runs::model(&storage, result["run"].as_str().unwrap())
    };
    let first = run(false);
    let read = parts(&storage);
    assert_eq!(read.len(), 3, "1,300 texts in chunks of 512");
    let all = contents(&read);
    assert!((1100..=1300).contains(&all), "{all}");

    assert!(run(true) == first, "the same contents place items alike");
    assert_eq!(parts(&storage), read, "nothing is read again");

    // As after an attempt that was killed before its last chunk.
    std::fs::remove_file(&read[2].0).unwrap();
    assert!(run(true) == first, "what is read later has the same bits");
    assert_eq!(contents(&parts(&storage)), all);

    let changed: Vec<String> = items(&project)
        .into_iter()
        .enumerate()
        .map(|(line, text)| if (1..=3).contains(&line) { text.replacen(',', ",another ", 1) } else { text })
        .collect();
    write_items(&project, &changed);
    run(false);
    let more = contents(&parts(&storage)) - all;
    assert!(more <= 3, "only what has changed is read: {more}");

    let model = SafeTensors::deserialize(&first).unwrap();
    assert_eq!(model.tensor("content.cosines").unwrap().shape()[..2], [1, 3]);
}

#[test]
fn an_encoder_in_eight_bits_reads_for_itself_and_places_items_much_as_in_floats() {
    let project = Project::generate(240, 60, 3600);
    let placed = |precision: &str| {
        let mut content = text(&encoder("bert"));
        content["text"]["precision"] = json!(precision);
        let result = project.run(&job(&project, "films", &content, |_| ()));
        cosines(&runs::model(&project.path("films-storage"), result["run"].as_str().unwrap())).concat()
    };
    let (floats, integers) = (placed("Float32"), placed("Int8"));
    assert_eq!(runs::folders(&project.path("films-storage/features")).len(), 2);
    let furthest = floats.iter().zip(&integers).map(|(float, integer)| (float - integer).abs()).fold(0.0, f32::max);
    assert!(furthest > 0.0 && furthest < 0.1, "{furthest}");
}

#[test]
fn layers_of_texts_and_images_are_sources_of_their_own_and_some_may_be_missing() {
    let project = Project::generate(240, 60, 3600);
    let pictures = encoder("images");
    std::fs::create_dir(project.path("posters")).unwrap();
    for name in ["picture.jpg", "picture.png"] {
        std::fs::copy(pictures.join(name), project.path("posters").join(name)).unwrap();
    }
    let changed: Vec<String> = items(&project)
        .into_iter()
        .enumerate()
        .map(|(line, text)| {
            let mut columns: Vec<&str> = text.split(',').collect();
            let poster = match line {
                0 => "poster",
                _ if line % 3 == 0 => "",
                _ if line % 3 == 1 => "posters/picture.jpg",
                _ => "posters/picture.png",
            };
            if line > 0 && line % 4 == 0 {
                (columns[1], columns[2]) = ("", "");
            }
            columns.push(poster);
            columns.join(",")
        })
        .collect();
    write_items(&project, &changed);
    let content = json!({
        "text": {"encoder": {"location": {"uri": encoder("bert")}}, "layers": [1, 2], "pooling": "Cls"},
        "image": {"encoder": {"location": {"uri": encoder("vit")}}},
        "routing": {"drift": 0.3},
    });
    let file = job(&project, "films", &content, |spec| spec["data"]["items"]["columns"]["image"] = json!("poster"));
    let result = project.run(&file);
    let model = runs::model(&project.path("films-storage"), result["run"].as_str().unwrap());
    let model = SafeTensors::deserialize(&model).unwrap();
    let known = model.tensor("content.known").unwrap();
    let numbers: Vec<f32> =
        known.data().chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
    let count = |source: usize| numbers[source * numbers.len() / 3..][..numbers.len() / 3].iter().sum::<f32>();
    assert_eq!(known.shape()[0], 3);
    assert_eq!([count(0), count(1), count(2)], [45.0, 45.0, 40.0], "of 60 items");
    assert_eq!(model.tensor("content.fusion").unwrap().shape(), [3]);
}

#[rstest]
#[case::gone(|folder: &Path| std::fs::remove_dir_all(folder).unwrap(), 66, "there is no folder with config.json")]
#[case::no_tokenizer(|folder: &Path| std::fs::remove_file(folder.join("tokenizer.json")).unwrap(), 78, "tokenizer.json: is missing")]
#[case::truncated(|folder: &Path| {
    let file = folder.join("model.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
}, 78, "model.safetensors: ")]
#[case::unknown(|folder: &Path| {
    let file = folder.join("config.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(file, text.replace("\"model_type\": \"bert\"", "\"model_type\": \"mamba\"")).unwrap();
}, 78, "mamba")]
fn an_encoder_that_cannot_be_read_is_named_by_field_and_file(
    #[case] harm: fn(&Path),
    #[case] code: i32,
    #[case] named: &str,
) {
    let project = Project::generate(240, 50, 3600);
    let folder = copied(&project, "bert");
    harm(&folder);
    let file = job(&project, "films", &text(&folder), |_| {});
    let ended = project.teasel(&["run", file.to_str().unwrap()]);
    assert_eq!(ended.status.code(), Some(code), "{}", ended.err);
    assert!(ended.err.contains("model.content.text.encoder: "), "{}", ended.err);
    assert!(ended.err.contains(named), "{}", ended.err);
}

#[test]
fn a_layer_that_an_encoder_lacks_is_named() {
    let project = Project::generate(240, 50, 3600);
    let mut content = text(&encoder("bert"));
    content["text"]["layers"] = json!([1, 9]);
    let file = job(&project, "films", &content, |_| {});
    let ended = project.teasel(&["run", file.to_str().unwrap()]);
    assert_eq!(ended.status.code(), Some(78), "{}", ended.err);
    assert!(ended.err.contains("model.content.text.encoder: ") && ended.err.contains('9'), "{}", ended.err);
}

#[test]
fn an_image_that_does_not_decode_ends_the_run_or_is_skipped() {
    let project = Project::generate(240, 50, 3600);
    std::fs::copy(encoder("images").join("picture.png"), project.path("good.png")).unwrap();
    std::fs::write(project.path("bad.png"), "no picture").unwrap();
    let changed: Vec<String> = items(&project)
        .into_iter()
        .enumerate()
        .map(|(line, text)| match line {
            0 => text + ",poster",
            2 => text + ",bad.png",
            3 => text + ",missing.png",
            _ => text + ",good.png",
        })
        .collect();
    write_items(&project, &changed);
    let id = |line: usize| changed[line].split(',').next().unwrap();
    let mut content = json!({"image": {"encoder": {"location": {"uri": encoder("vit")}}}});
    let file = job(&project, "films", &content, |spec| spec["data"]["items"]["columns"]["image"] = json!("poster"));
    let ended = project.teasel(&["run", file.to_str().unwrap()]);
    assert_eq!(ended.status.code(), Some(65), "{}", ended.err);
    let named = |line: usize| ended.err.contains(&format!("data.items: the image of item {}: ", id(line)));
    assert!(named(2) || named(3), "{}", ended.err);

    content["onBadItems"] = json!("Skip");
    let file = job(&project, "films", &content, |spec| spec["data"]["items"]["columns"]["image"] = json!("poster"));
    for arguments in [&["run"][..], &["run", "--fresh"]] {
        let ended = project.teasel(&[arguments, &[file.to_str().unwrap()]].concat());
        assert!(ended.status.success(), "{}", ended.err);
        assert!(ended.err.contains("the images of 2 items can't be read"), "{}", ended.err);
    }
}

#[test]
fn items_that_nobody_trains_with_are_recommended_by_their_texts_and_not_to_those_who_have_them() {
    let project = Project::generate(240, 50, 3600);
    let lines = items(&project);
    let columns = |id: &str| [&[id], &lines[1].split(',').collect::<Vec<_>>()[1..]].concat().join(",");
    write_items(&project, &[lines.clone(), vec![columns("brand-new"), columns("rare")]].concat());
    let interactions = project.path("interactions.csv");
    let text = std::fs::read_to_string(&interactions).unwrap();
    let (first, second) = (text.lines().next().unwrap(), text.lines().nth(1).unwrap());
    let place = |name: &str| first.split(',').position(|column| column == name).unwrap();
    let mut row: Vec<&str> = second.split(',').collect();
    let owner = row[place("user_id")].to_owned();
    row[place("item_id")] = "rare";
    std::fs::write(&interactions, format!("{text}{}\n", row.join(","))).unwrap();

    let run = |name: &str, cold: &str| {
        let content = json!({"text": {"encoder": {"location": {"uri": encoder("bert")}}}, "coldItems": cold});
        let file = job(&project, name, &content, |spec| {
            spec["scoring"]["topK"] = json!(60);
            spec["data"]["split"] = json!({"strongGeneralization": {"coldItems": 0.2, "test": 0.3}});
        });
        let result = project.run(&file);
        let lists =
            ["tenant-1", "tenant-2"].map(|tenant| published(&project.path(&format!("{name}-lists/{tenant}"))));
        (
            project.measured(name, &result).unwrap(),
            lists.into_iter().flat_map(|lists| lists.users).collect::<Vec<_>>(),
        )
    };
    let (measured, lists) = run("films", "Recommend");
    for (user, rows) in &lists {
        // Of whom nothing is known, facets say nothing: these get what is popular, which new items aren't.
        let is_known = rows.iter().all(|row| row.facet.is_some());
        let with = |item: &str| rows.iter().any(|row| row.item == item);
        assert_eq!(with("brand-new"), is_known, "{user}");
        assert_eq!(with("rare"), is_known && *user != owner, "whoever has it, has it: {user}");
    }
    assert!(lists.iter().filter(|(_, rows)| rows[0].facet.is_some()).count() > lists.len() / 2);
    let cold = &measured["coldItems"];
    assert!((5..25).contains(&cold["items"].as_u64().unwrap()) && cold["users"].as_u64().unwrap() > 10, "{cold}");
    assert!(cold["amongCold"]["recall@10"]["chance"].as_f64().unwrap() > 0.2, "{cold}");

    let (measured, lists) = run("others", "Ignore");
    assert!(lists.iter().flat_map(|(_, rows)| rows).all(|row| !["brand-new", "rare"].contains(&row.item.as_str())));
    assert!(measured.get("coldItems").is_none());
}

#[rstest]
#[case::low_rank(json!({"type": "LowRank", "lowRank": {"rank": 2}}), 2 * 2 * 2 * 2 * 16)]
#[case::adapters(json!({"type": "Adapters", "adapters": {"width": 3}}), 2 * 2 * (2 * 3 * 16 + 3 + 16))]
#[case::all(json!({"type": "Full"}), 0)]
fn an_encoder_is_adapted_and_checkpoints_hold_what_is(#[case] tuning: Value, #[case] numbers: usize) {
    let project = Project::generate(240, 50, 3600);
    let storage = project.path("films-storage");
    let run = |tuning: Value| {
        let mut content = text(&encoder("bert"));
        content["text"]["tuning"] = tuning;
        let file = job(&project, "films", &content, |_| {});
        let result = project.teasel(&["run", "--json", "--fresh", file.to_str().unwrap()]).json();
        let run = result["run"].as_str().unwrap();
        (runs::model(&storage, run), runs::newest_checkpoint(&storage.join("runs").join(run), "tuning.safetensors"))
    };
    let (frozen, nothing) = run(json!({"type": "Frozen"}));
    assert!(nothing.is_none());
    let mut tuning = tuning;
    (tuning["learningRate"], tuning["itemsPerStep"]) = (json!(0.01), json!(7));
    let (adapted, file) = run(tuning.clone());
    assert!(run(tuning).0 == adapted, "the same job gives the same bits");
    assert_ne!(cosines(&adapted), cosines(&frozen), "contents place items elsewhere");

    let bytes = std::fs::read(file.unwrap()).unwrap();
    let stored = SafeTensors::deserialize(&bytes).unwrap();
    let trained = stored.iter().filter(|(name, _)| name.starts_with("text.encoder."));
    let count: usize = trained.map(|(_, tensor)| tensor.shape().iter().product::<usize>()).sum();
    let all = std::fs::read(encoder("bert").join("model.safetensors")).unwrap();
    let all: usize = SafeTensors::deserialize(&all)
        .unwrap()
        .iter()
        .map(|(_, tensor)| tensor.shape().iter().product::<usize>())
        .sum();
    match numbers {
        // But for a pooler, which nobody reads.
        0 => assert!(count > all / 2 && count <= all, "{count} of {all}"),
        expected => assert_eq!(count, expected, "of {all}"),
    }
}

#[rstest]
#[case::fail("Fail", 65)]
#[case::skip("Skip", 0)]
fn an_image_that_breaks_while_its_encoder_is_adapted_ends_the_run_or_leaves_its_item_where_it_is(
    #[case] on_bad_items: &str,
    #[case] code: i32,
) {
    let project = Project::generate(240, 50, 3600);
    let changed: Vec<String> = items(&project)
        .into_iter()
        .enumerate()
        .map(|(line, text)| if line == 0 { text + ",poster" } else { format!("{text},{line}.image") })
        .collect();
    write_items(&project, &changed);
    for line in 1..changed.len() {
        let picture = if line % 2 == 0 { "picture.png" } else { "picture.jpg" };
        std::fs::copy(encoder("images").join(picture), project.path(&format!("{line}.image"))).unwrap();
    }
    let content = json!({
        "image": {"encoder": {"location": {"uri": encoder("vit")}}, "tuning": {"type": "LowRank"}},
        "onBadItems": on_bad_items,
    });
    let run = |resume_from: Option<&str>| {
        let file = job(&project, "films", &content, |spec| {
            spec["data"]["items"]["columns"]["image"] = json!("poster");
            if let Some(run) = resume_from {
                spec["training"]["resumeFrom"] = json!({"run": run});
            }
        });
        project.teasel(&["run", "--json", "--fresh", file.to_str().unwrap()])
    };
    let first = run(None).json();
    // A run that goes on from another one reads nothing but what it adapts.
    std::fs::write(project.path("3.image"), "no picture").unwrap();
    let ended = run(first["run"].as_str());
    assert_eq!(ended.status.code(), Some(code), "{}", ended.err);
    let id = changed[3].split(',').next().unwrap();
    let named = ended.err.contains(&format!("data.items: the image of item {id} has changed: "));
    assert_eq!(named, code != 0, "{}", ended.err);
    if code == 0 {
        let of_run =
            |run: &Value| cosines(&runs::model(&project.path("films-storage"), run["run"].as_str().unwrap()));
        let (before, after) = (of_run(&first), of_run(&ended.json()));
        let stayed = before.iter().zip(&after).filter(|(before, after)| before == after).count();
        assert_eq!(stayed, 1, "of {}", before.len());
    }
}
