//! The OpenAPI document, which a validator of the standard accepts.

use std::path::Path;
use std::process::Command;

use weir_harness::program::OPENAPI_SPEC_VALIDATOR;

#[test]
fn the_document_follows_the_standard() {
    let Some(validator) = OPENAPI_SPEC_VALIDATOR.or_skip() else {
        return;
    };
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/openapi.json");
    let output = Command::new(validator).arg(document).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let broken = tempfile::tempdir().unwrap();
    let broken = broken.path().join("broken.json");
    std::fs::write(
        &broken,
        r#"{"openapi": "3.1.0", "paths": {"/": {"get": 1}}}"#,
    )
    .unwrap();
    let output = Command::new(validator).arg(broken).output().unwrap();
    assert!(!output.status.success(), "{output:?}");
}
