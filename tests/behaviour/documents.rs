//! The documents stay true: their TOML is valid, their links lead somewhere, and the tests that they name exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;
use roompass::config::Config;

#[test]
fn every_toml_block_of_every_document_is_a_valid_configuration() {
    let mut blocks = 0;
    for document in documents() {
        for block in toml_blocks(&read(&document)) {
            if let Err(error) = Config::parse(&block, &document.display().to_string()) {
                panic!("{error}\n{block}");
            }
            blocks += 1;
        }
    }
    assert!(blocks > 25, "{blocks}");
}

#[test]
fn every_provider_page_shows_its_caller() {
    let pages: Vec<_> = documents()
        .into_iter()
        .filter(|document| document.starts_with(root().join("docs/providers")))
        .collect();
    assert!(pages.len() >= 8, "{pages:?}");
    for page in pages {
        let text = read(&page);
        assert!(toml_blocks(&text).iter().any(|block| block.contains("[[caller]]")), "{}", page.display());
        let name = page.file_name().unwrap().to_str().unwrap();
        let authentication = read(&root().join("docs/authentication.md"));
        assert!(authentication.contains(&format!("(providers/{name})")), "{name} is listed");
    }
}

#[test]
fn every_link_of_every_document_leads_to_a_file_and_a_heading() {
    let link = Regex::new(r"\]\(([^)\s]*)\)").unwrap();
    for document in documents() {
        for target in link.captures_iter(&read(&document)).map(|found| found[1].to_owned()) {
            if target.starts_with("https://") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((&target, ""));
            let file = match file {
                "" => document.clone(),
                file => document.parent().unwrap().join(file),
            };
            assert!(file.exists(), "{}: {target}", document.display());
            assert!(
                heading.is_empty() || anchors(&read(&file)).contains(heading),
                "{}: {target}",
                document.display()
            );
        }
    }
}

#[test]
fn no_document_is_longer_than_300_lines() {
    for document in documents() {
        let lines = read(&document).lines().count();
        assert!(lines <= 300, "{} has {lines} lines", document.display());
    }
}

#[test]
fn the_archives_that_documents_name_have_the_version_of_the_package() {
    let archive = Regex::new(r"roompass-(\d+\.\d+\.\d+)-").unwrap();
    let mut named = 0;
    for document in documents() {
        for found in archive.captures_iter(&read(&document)) {
            assert_eq!(&found[1], env!("CARGO_PKG_VERSION"), "{}", document.display());
            named += 1;
        }
    }
    assert!(named >= 4, "{named}");
}

#[test]
fn the_tests_that_the_document_on_reliability_names_exist() {
    let folders = ["core", "src", "tests"].map(|folder| root().join(folder));
    let rust = folders.iter().filter(|folder| folder.exists()).flat_map(|folder| files(folder, "rs"));
    let rust: String = rust.map(|file| read(&file)).collect();
    let end_to_end = ["faults", "hostile"].map(|name| read(&root().join(format!("e2e/{name}.test.mjs"))));
    let document = read(&root().join("docs/reliability.md"));
    let (code, group) = (Regex::new("`([^` ]+)`").unwrap(), Regex::new(r"\*([^*|]+)\* \|").unwrap());
    let mut named = 0;
    for name in code.captures_iter(&document).map(|found| found[1].to_owned()) {
        if [".rs", ".mjs"].iter().any(|extension| name.ends_with(extension)) {
            assert!(root().join(&name).exists() || root().join("e2e").join(&name).exists(), "{name}");
            named += 1;
        } else if name.matches('_').count() > 3 && !name.contains(char::is_uppercase) {
            assert!(rust.contains(&format!("fn {name}(")), "{name}");
            named += 1;
        }
    }
    for group in group.captures_iter(&document).map(|found| found[1].to_owned()) {
        assert!(end_to_end.iter().any(|tests| tests.contains(&group)), "{group}");
        named += 1;
    }
    assert!(named > 15, "{named}");
}

fn toml_blocks(text: &str) -> Vec<String> {
    let blocks = text.split("```toml\n").skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// The anchors of a document's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let heading = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        heading.chars().filter(|char| char.is_alphanumeric() || matches!(char, '-' | '_')).collect()
    };
    headings.map(anchor).collect()
}

/// Every document of the project.
fn documents() -> Vec<PathBuf> {
    let at_root = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    let at_root = at_root.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let folders = ["docs", "events"].map(|folder| files(&root().join(folder), "md")).concat();
    at_root.chain(folders).chain([root().join("e2e/README.md")]).collect()
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|of_file| of_file == extension) {
            found.push(path);
        }
    }
    found
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
