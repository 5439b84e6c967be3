//! The files for development say the same thing.

use roompass::config::Config;
use serde_json::Value;

#[test]
fn sam_local_has_the_policy_that_cargo_run_has() {
    let wiring: Value = serde_json::from_str(include_str!("../../local.env.json")).unwrap();
    let inline = wiring["TokenFunction"]["ROOMPASS_CONFIG"].as_str().unwrap();
    let development = include_str!("../../src/bin/roompass/development.toml");
    let parsed = |text| Config { version: String::new(), ..Config::parse(text, "x.toml").unwrap() };
    assert_eq!(format!("{:?}", parsed(inline)), format!("{:?}", parsed(development)));
}

#[test]
fn only_sam_local_reads_the_development_keys() {
    let template = include_str!("../../local.yaml");
    let listed = template.split("Variables:").nth(1).unwrap().split("Events:").next().unwrap();
    let wiring: Value = serde_json::from_str(include_str!("../../local.env.json")).unwrap();
    for variable in wiring["TokenFunction"].as_object().unwrap().keys() {
        assert!(
            listed.contains(&format!("{variable}: \"\"\n")),
            "local.yaml lists {variable}, so that it is set"
        );
    }
    let settings = include_str!("../../samconfig.toml");
    for (section, is_local) in [
        ("[default.deploy.parameters]", false),
        ("[default.local_invoke.parameters]", true),
        ("[default.local_start_api.parameters]", true),
    ] {
        let settings = settings.split(section).nth(1).unwrap().split("\n[").next().unwrap();
        let lines: Vec<_> = settings.lines().filter(|line| !line.starts_with('#')).collect();
        for file in ["local.env.json", ".aws-sam/local/template.yaml"] {
            assert_eq!(lines.iter().any(|line| line.contains(file)), is_local, "{file} in {section}");
        }
    }
}
