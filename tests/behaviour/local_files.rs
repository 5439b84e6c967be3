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
fn no_deployment_reads_the_development_keys() {
    let template = include_str!("../../template.yaml");
    let environment = template.split("Variables:").nth(1).unwrap().split("Policies:").next().unwrap();
    for variable in [
        "ROOMPASS_CONFIG",
        "LIVEKIT_URL",
        "LIVEKIT_API_KEY",
        "LIVEKIT_API_SECRET",
        "ROOMPASS_API_KEYS",
        "ROOMPASS_PROJECTS",
    ] {
        assert!(environment.contains(&format!("{variable}: \"\"\n")), "{variable} is empty in a deployment");
    }
    for (section, named) in
        [("[default.deploy.parameters]", false), ("[default.local_invoke.parameters]", true)]
    {
        let settings = include_str!("../../samconfig.toml").split(section).nth(1).unwrap();
        let settings = settings.split("\n[").next().unwrap();
        let names_it = settings.lines().any(|line| !line.starts_with('#') && line.contains("local.env.json"));
        assert_eq!(names_it, named, "{section}");
    }
}
