//! What helm and kustomize render of `deploy/`, and what kubeconform says of it.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde::Deserialize;
use serde_json::{Value, json};
use weir_harness::program;

/// The oldest Kubernetes that the chart is for: helm asks no cluster here.
const OLDEST: [&str; 2] = ["--kube-version", "1.30.0"];

/// Rendered objects.
pub(crate) struct Manifests {
    text: String,
    objects: Vec<Value>,
}

impl Manifests {
    /// The chart, with these values.
    ///
    /// # Errors
    /// What helm prints on stderr.
    pub(crate) fn of_chart(helm: &Path, values: &[&str]) -> Result<Self, String> {
        Self::of(helm, Path::new("deploy/helm/weir"), values)
    }

    /// Another chart.
    ///
    /// # Errors
    /// The same.
    pub(crate) fn of(helm: &Path, chart: &Path, values: &[&str]) -> Result<Self, String> {
        render(
            Command::new(helm)
                .args(["template", "weir"])
                .arg(chart)
                .args(OLDEST)
                .args(values),
        )
    }

    /// A folder with a kustomization.
    ///
    /// # Errors
    /// What kustomize prints on stderr.
    pub(crate) fn of_folder(kustomize: &Path, folder: &str) -> Result<Self, String> {
        render(Command::new(kustomize).args(["build", folder]))
    }

    /// The one object of that kind.
    pub(crate) fn one(&self, kind: &str) -> &Value {
        let mut of_kind = self.objects.iter().filter(|object| object["kind"] == kind);
        let one = of_kind.next();
        assert!(of_kind.next().is_none(), "several: {kind}");
        one.unwrap_or_else(|| panic!("no {kind} in {}", self.text))
    }

    pub(crate) fn all<'m>(&'m self, kind: &'m str) -> impl Iterator<Item = &'m Value> {
        self.objects
            .iter()
            .filter(move |object| object["kind"] == kind)
    }

    /// Fails unless each object has the fields that its kind has in Kubernetes, and no others.
    pub(crate) fn expect_valid(&self, kubeconform: &Path, schemas: &Path) {
        let folder = tempfile::tempdir().expect("a folder");
        let definitions = fs::read_to_string(schemas).expect("schemas");
        let mut definitions: Value = serde_json::from_str(&definitions).expect("JSON");
        definitions
            .as_object_mut()
            .and_then(|definitions| definitions.remove("$id"))
            .expect("an address that references do not need");
        for object in &self.objects {
            let (file, schema) = schema(&definitions, object);
            fs::write(folder.path().join(file), schema).expect("written");
        }
        let files = "{{.ResourceKind}}{{.KindSuffix}}.json";
        let mut child = Command::new(kubeconform)
            .args(["-strict", "-summary", "-schema-location"])
            .arg(folder.path().join(files))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("kubeconform starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(self.text.as_bytes()).expect("read");
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        let report = text(&output.stdout);
        assert!(output.status.success(), "{report}");
        let count = self.objects.len();
        assert!(report.contains(&format!("Valid: {count}, ")), "{report}");
    }
}

/// The name that kubeconform looks for, and the schema of an object.
fn schema(definitions: &Value, object: &Value) -> (String, String) {
    let text = |name: &str| object[name].as_str().expect("a text");
    let (version, kind) = (text("apiVersion"), text("kind"));
    let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
    let suffix = match group.split('.').next() {
        None | Some("") => format!("-{version}"),
        Some(group) => format!("-{group}-{version}"),
    };
    let file = format!("{}{suffix}.json", kind.to_lowercase());
    match kind {
        "ServiceMonitor" => return (file, include_str!("service_monitor.json").to_owned()),
        "PeerAuthentication" => return (file, include_str!("peer_authentication.json").to_owned()),
        _ => {}
    }
    let wanted = json!({"group": group, "kind": kind, "version": version});
    let (name, _) = definitions["$defs"]
        .as_object()
        .expect("definitions")
        .iter()
        .find(|(_, definition)| {
            let of = definition["x-kubernetes-group-version-kind"].as_array();
            of.is_some_and(|kinds| kinds.contains(&wanted))
        })
        .unwrap_or_else(|| panic!("Kubernetes has no {wanted}"));
    let mut schema = definitions.clone();
    schema["$ref"] = format!("#/$defs/{name}").into();
    (file, schema.to_string())
}

fn render(command: &mut Command) -> Result<Manifests, String> {
    let output = in_repository(command);
    if !output.status.success() {
        return Err(text(&output.stderr));
    }
    let text = text(&output.stdout);
    let objects = serde_yaml::Deserializer::from_str(&text)
        .map(|document| Value::deserialize(document).expect("YAML"))
        .filter(|object| !object.is_null())
        .collect();
    Ok(Manifests { text, objects })
}

fn in_repository(command: &mut Command) -> Output {
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .output()
        .expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What `helm lint` prints, if it finds fault.
///
/// # Errors
/// The same.
pub(crate) fn lint(helm: &Path, values: &[&str]) -> Result<(), String> {
    let command = &mut Command::new(helm);
    command
        .args(["lint", "--strict", "--quiet", "deploy/helm/weir"])
        .args(OLDEST)
        .args(values);
    let output = in_repository(command);
    if output.status.success() {
        return Ok(());
    }
    Err(text(&[output.stdout, output.stderr].concat()))
}

/// The programs that check manifests; none if the test is to be skipped.
pub(crate) fn checkers() -> Option<(&'static Path, &'static Path)> {
    let kubeconform = program::KUBECONFORM.or_skip()?;
    Some((kubeconform, program::KUBERNETES_SCHEMAS.or_skip()?))
}
