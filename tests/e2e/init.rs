//! The bootstrap that `weir init` writes.

use std::fs;
use std::process::Command;

use weir_harness::program;

#[test]
fn envoy_accepts_the_bootstrap() {
    let Some(envoy) = program::ENVOY.or_skip() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(
        folder.path().join("api.json"),
        r#"{"paths": {"/a/{b}": {"get": {}}}}"#,
    )
    .expect("written");
    for (name, args) in [("plain", &[][..]), ("operations", &["--openapi=api.json"])] {
        let mut init = Command::new(env!("CARGO_BIN_EXE_weir"));
        init.current_dir(&folder)
            .args(["init", "--domain=shop", name])
            .args(args);
        assert!(init.status().expect("weir runs").success());
        let bootstrap = folder.path().join(name).join("envoy.yaml");
        let mut validate = Command::new(envoy);
        validate.args(["--mode", "validate", "-c"]).arg(bootstrap);
        let output = validate.output().expect("Envoy runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert!(!said.contains("deprecated"), "{said}");
    }
}
