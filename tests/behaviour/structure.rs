//! The modules depend on each other in one direction, and the core on nothing outside it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// The code of a crate's files, without comments and tests, by the top-level module that each is in.
fn code(crate_root: &str) -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(crate_root);
    let mut modules: BTreeMap<String, String> = BTreeMap::new();
    for file in rust_files(&root) {
        let inner = file.strip_prefix(&root).unwrap();
        let first = inner.components().next().unwrap().as_os_str().to_str().unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        let is_test = name == "tests.rs" || inner.components().any(|part| part.as_os_str() == "tests");
        if ["bin", "lib.rs"].contains(&first) || is_test {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let without_tests = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let code = without_tests.lines().filter(|line| !line.trim_start().starts_with("//"));
        let module = modules.entry(first.trim_end_matches(".rs").to_owned()).or_default();
        for line in code {
            module.push_str(line);
            module.push('\n');
        }
    }
    modules
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] });
    files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// Which other modules each one uses. `use crate::{…}` with several modules in it isn't how they're written here.
fn uses(modules: &BTreeMap<String, String>) -> BTreeMap<&str, BTreeSet<String>> {
    let of_this_crate = Regex::new("crate::([a-z_]+)").unwrap();
    let used = |name: &str, code: &str| {
        let used = of_this_crate.captures_iter(code).map(|found| found[1].to_owned());
        used.filter(|other| other != name && modules.contains_key(other)).collect()
    };
    modules.iter().map(|(name, code)| (name.as_str(), used(name, code))).collect()
}

/// The modules that are in a circle, or use one: those that are left when each that uses none of them is taken away.
fn circle(mut uses: BTreeMap<&str, BTreeSet<String>>) -> BTreeMap<&str, BTreeSet<String>> {
    while let Some(free) = uses.iter().find(|(_, used)| used.is_empty()).map(|(name, _)| *name) {
        uses.remove(free);
        for used in uses.values_mut() {
            used.remove(free);
        }
    }
    uses
}

#[test]
fn modules_depend_on_each_other_in_one_direction() {
    for crate_root in ["src", "core/src"] {
        let modules = code(crate_root);
        let uses = uses(&modules);
        assert!(uses.values().map(BTreeSet::len).sum::<usize>() > 5, "{crate_root}: {uses:?}");
        assert_eq!(circle(uses), BTreeMap::new(), "{crate_root} has a circle");
    }
}

#[test]
fn a_circle_is_found() {
    let uses = |pairs: &[(&'static str, &str)]| {
        pairs.iter().map(|(name, used)| (*name, BTreeSet::from([(*used).to_owned()]))).collect()
    };
    let circular: BTreeMap<_, _> = uses(&[("a", "b"), ("b", "c"), ("c", "a")]);
    assert_eq!(circle(circular).len(), 3);
    let mut in_one_direction: BTreeMap<_, _> = uses(&[("a", "b"), ("b", "c")]);
    in_one_direction.insert("c", BTreeSet::new());
    assert!(circle(in_one_direction).is_empty());
}

#[test]
fn the_core_uses_no_clock_no_files_and_no_network() {
    for (module, code) in code("core/src") {
        for outside in
            ["SystemTime", "Instant", "std::fs", "std::env", "std::net::Tcp", "getrandom", "tokio", "axum"]
        {
            assert!(!code.contains(outside), "core/src/{module} uses {outside}");
        }
    }
}

#[test]
fn authentication_and_dialects_use_neither_aws_nor_the_signing_keys() {
    let modules = code("src");
    for module in ["auth", "dialect"] {
        let code = &modules[module];
        for outside in [
            "lambda_http",
            "aws_sdk",
            "aws_config",
            "crate::keys",
            "crate::config",
            "crate::http",
            "crate::lambda",
        ] {
            assert!(!code.contains(outside), "src/{module} uses {outside}");
        }
    }
    for module in ["http", "keys", "mint", "lambda"] {
        assert!(!modules[module].contains("crate::config"), "src/{module} uses what only the programs use");
    }
}
