//! Checks `roompass.toml` before the build, so that mistakes are found here and not in Lambda.

use roompass_core::config::Config;
use roompass_core::escape::escaped;

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed={FILE}");
    if let Err(error) = Config::parse(&std::fs::read_to_string(FILE)?, FILE) {
        for mistake in error.lines() {
            println!("cargo::error={}", escaped(&mistake));
        }
    }
    Ok(())
}

const FILE: &str = "roompass.toml";
