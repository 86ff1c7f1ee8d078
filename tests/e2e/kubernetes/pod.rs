//! The container of a Deployment, as a process of this machine.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use weir_harness::PATIENCE;

use crate::http::{Client, Request};
use crate::kubernetes::manifests::Manifests;
use crate::weir::Weir;
use crate::window::now_secs;

/// The files of Secrets, by the name of the Secret.
pub(crate) type Secrets<'s> = BTreeMap<&'s str, Vec<(&'s str, String)>>;

/// What the cluster has, and a rendered Deployment does not.
#[derive(Default)]
pub(crate) struct Surroundings<'s> {
    pub(crate) secrets: Secrets<'s>,
    /// Names of the cluster in arguments and variables, and what they are here.
    pub(crate) names: Vec<(&'s str, String)>,
}

pub(crate) struct Pod {
    pub(crate) weir: Weir,
    _volumes: TempDir,
}

impl Pod {
    /// Starts what the Deployment starts, with its arguments, variables and volumes, on free ports of loopback.
    pub(crate) fn start(manifests: &Manifests, surroundings: &Surroundings<'_>) -> Self {
        let spec = &manifests.one("Deployment")["spec"]["template"]["spec"];
        let container = &spec["containers"][0];
        let volumes = tempfile::tempdir().expect("a folder");
        let mut paths = Vec::new();
        for mount in list(&container["volumeMounts"]) {
            let volume = list(&spec["volumes"])
                .find(|volume| volume["name"] == mount["name"])
                .unwrap_or_else(|| panic!("no volume for {mount}"));
            let folder = volumes.path().join(text(&mount["name"]));
            mounted(&folder, &files(manifests, volume, surroundings));
            paths.push((text(&mount["mountPath"]), folder));
        }
        let here = |argument: &str| {
            let (flag, value) = argument.split_once('=').unwrap_or(("", argument));
            let value = match value.strip_prefix(':') {
                Some(_) => "127.0.0.1:0".to_owned(),
                None => relocated(value, &paths),
            };
            let names = surroundings.names.iter();
            let value = names.fold(value, |value, (from, to)| value.replace(from, to));
            match flag {
                "" => value,
                flag => format!("{flag}={value}"),
            }
        };
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.env_clear();
        command.args(list(&container["args"]).map(|argument| here(text(argument))));
        for variable in container["env"].as_array().into_iter().flatten() {
            command.env(text(&variable["name"]), here(text(&variable["value"])));
        }
        Self {
            weir: Weir::run(&mut command),
            _volumes: volumes,
        }
    }

    /// Waits for the startup probe. Fails unless the other probes succeed then.
    pub(crate) fn expect_healthy(&self, manifests: &Manifests) {
        let container = container(manifests);
        let probe = |name: &str| {
            let get = &container[name]["httpGet"];
            assert_eq!(get["port"], "http");
            let request = Request::new(&format!("GET {}", text(&get["path"])));
            Client::connect(self.weir.http).send(&request).status
        };
        let start = now_secs();
        while probe("startupProbe") != 200 {
            assert!(now_secs() - start < PATIENCE.as_secs(), "it does not start");
        }
        assert_eq!(["readinessProbe", "livenessProbe"].map(probe), [200; 2]);
    }
}

/// Fails unless the ports of the Service, of the container and of the arguments are the same.
pub(crate) fn expect_ports(manifests: &Manifests) {
    let container = container(manifests);
    let ports: Vec<(&str, u64)> = list(&container["ports"])
        .map(|port| (text(&port["name"]), number(&port["containerPort"])))
        .collect();
    let arguments: Vec<&str> = list(&container["args"]).map(text).collect();
    for (name, port) in &ports {
        // Without a host: all addresses, of IPv6 and IPv4.
        let flag = format!("--{name}=:{port}");
        assert!(arguments.contains(&flag.as_str()), "{arguments:?}");
    }
    let service = list(&manifests.one("Service")["spec"]["ports"])
        .map(|port| (text(&port["targetPort"]), number(&port["port"])));
    assert_eq!(service.collect::<Vec<_>>(), ports);
}

/// Fails unless the Deployment asks for nothing that a restricted namespace rejects.
pub(crate) fn expect_restricted(manifests: &Manifests) {
    let spec = &manifests.one("Deployment")["spec"]["template"]["spec"];
    assert_eq!(spec["automountServiceAccountToken"], false);
    let pod = &spec["securityContext"];
    assert_eq!(pod["runAsNonRoot"], true);
    assert_eq!(
        (&pod["runAsUser"], &pod["runAsGroup"]),
        (&65534.into(), &65534.into())
    );
    assert_eq!(pod["seccompProfile"]["type"], "RuntimeDefault");
    let own = &container(manifests)["securityContext"];
    assert_eq!(own["allowPrivilegeEscalation"], false);
    assert_eq!(own["readOnlyRootFilesystem"], true);
    assert_eq!(own["capabilities"]["drop"][0], "ALL");
}

/// Fails unless all that selects pods selects those of the Deployment, by a label at least.
pub(crate) fn expect_selectors(manifests: &Manifests) {
    let labels = &manifests.one("Deployment")["spec"]["template"]["metadata"]["labels"];
    for (kind, path) in [
        ("Deployment", "/spec/selector/matchLabels"),
        ("Service", "/spec/selector"),
        ("NetworkPolicy", "/spec/podSelector/matchLabels"),
        ("PodDisruptionBudget", "/spec/selector/matchLabels"),
    ] {
        for object in manifests.all(kind) {
            let selector = object.pointer(path).and_then(Value::as_object);
            let selector = selector.unwrap_or_else(|| panic!("{kind} selects nothing"));
            assert!(!selector.is_empty(), "{kind} selects every pod");
            for (name, value) in selector {
                assert_eq!(labels[name], *value, "{kind}: {name}");
            }
        }
    }
}

/// Fails unless Kubernetes waits for the whole of weir's end before it kills it.
pub(crate) fn expect_time_to_end(manifests: &Manifests) {
    /// What calls have to finish in after the drain.
    const FINISHING_SECS: u64 = 5;
    let spec = &manifests.one("Deployment")["spec"]["template"]["spec"];
    let container = container(manifests);
    let before = number(&container["lifecycle"]["preStop"]["sleep"]["seconds"]);
    let drain =
        list(&container["args"]).find_map(|argument| text(argument).strip_prefix("--drain="));
    let drain: u64 = drain.and_then(|drain| drain.parse().ok()).expect("--drain");
    let grace = number(&spec["terminationGracePeriodSeconds"]);
    assert!(before > 0 && drain > 0);
    assert!(grace > before + drain + FINISHING_SECS, "{grace}");
}

fn container(manifests: &Manifests) -> &Value {
    &manifests.one("Deployment")["spec"]["template"]["spec"]["containers"][0]
}

/// The files of a volume.
fn files(
    manifests: &Manifests,
    volume: &Value,
    surroundings: &Surroundings<'_>,
) -> Vec<(String, String)> {
    if let Some(secret) = volume["secret"]["secretName"].as_str() {
        let files = surroundings.secrets.get(secret);
        let files = files.unwrap_or_else(|| panic!("no secret {secret}"));
        let own = files.iter();
        return own
            .map(|(name, text)| ((*name).to_owned(), text.clone()))
            .collect();
    }
    let wanted = &volume["configMap"]["name"];
    let config = manifests
        .all("ConfigMap")
        .find(|config| config["metadata"]["name"] == *wanted)
        .unwrap_or_else(|| panic!("no ConfigMap {wanted}"));
    let data = config["data"].as_object().into_iter().flatten();
    data.map(|(name, value)| (name.clone(), text(value).to_owned()))
        .collect()
}

/// Writes the files of a volume as the kubelet does: behind a link to a folder.
fn mounted(folder: &Path, files: &[(String, String)]) {
    let version = folder.join("..2026_01_01_00_00_00.1");
    fs::create_dir_all(&version).expect("created");
    symlink(version.file_name().expect("a name"), folder.join("..data")).expect("linked");
    for (name, text) in files {
        fs::write(version.join(name), text).expect("written");
        symlink(format!("..data/{name}"), folder.join(name)).expect("linked");
    }
}

/// A path in the container, as the path of its volume here.
fn relocated(value: &str, paths: &[(&str, PathBuf)]) -> String {
    let found = paths.iter().find_map(|(path, folder)| {
        let rest = value.strip_prefix(path)?;
        (rest.is_empty() || rest.starts_with('/')).then(|| format!("{}{rest}", folder.display()))
    });
    found.unwrap_or_else(|| value.to_owned())
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().expect("a list").iter()
}

fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is not a text"))
}

fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("{value} is not a number"))
}
