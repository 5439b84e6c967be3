//! The configuration that is compiled in: a mistake in it ends the build.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

#[test]
fn a_mistake_in_the_file_compiled_in_ends_the_build_with_the_same_line() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mistaken");
    let _ = fs::remove_dir_all(&package);
    fs::create_dir_all(&package).unwrap();
    for part in ["Cargo.toml", "Cargo.lock", "build.rs", "core", "src"] {
        symlink(root.join(part), package.join(part)).unwrap();
    }
    let mistake = "[[caller]]\nname = \"a\"\nkind = \"anonymus\"\n";
    fs::write(package.join("roompass.toml"), mistake).unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["check", "--lib", "--locked", "--offline", "--target-dir"])
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap())
        .current_dir(&package)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(
        said.contains("roompass.toml:3:8: unknown variant `anonymus`, expected one of `anonymous`, `api-key`, `gateway`, `jwt`; did you mean `anonymous`? (in `kind = \"anonymus\"`)"),
        "{said}"
    );
}
