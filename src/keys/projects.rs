//! Projects: several sets of signing keys in one secret, each with its own server. The secret's own members are the project
//! `default`; those of the others are in its member `projects`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::Deployment;
use super::agora::APP_ID;
use super::livekit::API_KEY;
use super::signing::SigningKeys;
use crate::domain::{MalformedSecret, Project, ServerUrl};

/// The signing keys of each project.
#[derive(Debug, Clone, Default)]
pub struct Projects(BTreeMap<Project, Arc<SigningKeys>>);

/// A mistake in a project's keys.
#[derive(Debug, Clone)]
pub struct MalformedProject {
    /// The projects that it affects.
    pub affects: Affected,
    /// What is wrong.
    pub mistake: MalformedSecret,
}

/// The projects that a mistake affects. Their last valid keys stay in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Affected {
    /// One project.
    One(Project),
    /// Every project with a name.
    Named,
    /// None: an entry without a valid name.
    None,
}

impl Projects {
    /// A project's keys. Those of an unknown project have no provider.
    #[must_use]
    pub fn get(&self, project: &Project) -> Arc<SigningKeys> {
        let keys = self.0.get(project).cloned();
        keys.unwrap_or_else(|| Arc::new(SigningKeys::without_provider(project.clone())))
    }

    /// The keys of the project `default`.
    #[must_use]
    pub fn of_default(&self) -> Arc<SigningKeys> {
        self.get(&Project::default())
    }

    /// The keys of every project, `default` among them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &SigningKeys> {
        self.0.values().map(Arc::as_ref)
    }

    /// Whether there are no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds keys. They replace those of the same project.
    pub fn insert(&mut self, keys: impl Into<Arc<SigningKeys>>) {
        let keys = keys.into();
        self.0.insert(keys.project().clone(), keys);
    }

    /// The secrets and public names of all keys, each with the path of its member. Only to compare them.
    pub(crate) fn exposed<'a>(&'a self) -> Vec<(String, &'a str)> {
        let of = |keys: &'a SigningKeys| {
            keys.exposed().map(move |(member, value)| (path(keys.project(), member), value))
        };
        self.iter().flat_map(of).collect()
    }

    /// Reads a secret's members: its own keys, and those in `projects`. Each project is valid or not on its own. `server`
    /// replaces the server of `default`.
    pub(super) fn read(
        members: &Map<String, Value>,
        server: Option<&ServerUrl>,
        deployment: Deployment,
    ) -> (Self, Vec<MalformedProject>) {
        let named = members.get(PROJECTS).filter(|value| !value.is_null());
        let (mut projects, mut malformed) = match named {
            Some(named) => Self::read_named(named, PROJECTS, deployment),
            None => Default::default(),
        };
        if SigningKeys::has_members(members) || (projects.is_empty() && malformed.is_empty()) {
            match SigningKeys::read(members, Project::default(), server, deployment) {
                Ok(keys) => projects.insert(keys),
                Err(mistake) => {
                    malformed
                        .insert(0, MalformedProject { affects: Affected::One(Project::default()), mistake });
                }
            }
        }
        malformed.extend(projects.remove_exposed());
        (projects, malformed)
    }

    /// Removes each project whose public key or app ID is a secret of a project, because its tokens would show that secret.
    fn remove_exposed(&mut self) -> Vec<MalformedProject> {
        let all = self.exposed();
        let is_public = |path: &str| PUBLIC.iter().any(|member| path.ends_with(member));
        let exposed: Vec<_> = self
            .iter()
            .filter_map(|keys| {
                let mut own = keys.exposed().filter(|(member, _)| PUBLIC.contains(member));
                own.find_map(|(member, name)| {
                    let (secret, _) = all.iter().find(|(path, value)| !is_public(path) && *value == name)?;
                    let problem =
                        format!("must not be the same as {secret}: it is public, and would show that secret");
                    let mistake = MalformedSecret::new(&path(keys.project(), member), problem);
                    Some(MalformedProject { affects: Affected::One(keys.project().clone()), mistake })
                })
            })
            .collect();
        self.0.retain(|project, _| !exposed.iter().any(|malformed| malformed.may_be(project)));
        exposed
    }

    /// Reads the projects in a JSON object of names and keys. `place` is the object's name, for the mistakes.
    pub(crate) fn read_named(
        named: &Value,
        place: &str,
        deployment: Deployment,
    ) -> (Self, Vec<MalformedProject>) {
        let (mut projects, mut malformed) = (Self::default(), Vec::new());
        let mistake_of = |affects: Affected, problem: String| MalformedProject {
            affects,
            mistake: MalformedSecret::new(place, problem),
        };
        let Value::Object(named) = named else {
            let problem = format!("must be an object of project names and keys, such as {EXAMPLE}");
            return (projects, vec![mistake_of(Affected::Named, problem)]);
        };
        if SigningKeys::has_members(named) {
            let problem = format!(
                "must have the keys of each project in an object with the project's name, such as {EXAMPLE}"
            );
            return (projects, vec![mistake_of(Affected::Named, problem)]);
        }
        for (name, members) in named {
            let project = match Project::parse(name.as_str()) {
                Err(invalid) => {
                    malformed.push(mistake_of(Affected::None, format!("has an invalid name: {invalid}")));
                    continue;
                }
                Ok(project) if project.is_default() => {
                    let problem =
                        "has the name default, which is for the keys that are not in projects".to_owned();
                    malformed.push(mistake_of(Affected::None, problem));
                    continue;
                }
                Ok(project) => project,
            };
            let keys = match members {
                Value::Object(members) if !SigningKeys::has_only_known(members) => {
                    let problem = SigningKeys::unknown_member(members);
                    Err(MalformedSecret::new(&format!("{place}.{project}"), problem))
                }
                Value::Object(members) => SigningKeys::read(members, project.clone(), None, deployment)
                    .map_err(|mistake| {
                        MalformedSecret::new(
                            &format!("{place}.{project}.{}", mistake.member),
                            mistake.problem,
                        )
                    }),
                _ => Err(MalformedSecret::new(
                    &format!("{place}.{project}"),
                    "must be an object with the project's keys",
                )),
            };
            match keys {
                Ok(keys) => projects.insert(keys),
                Err(mistake) => malformed.push(MalformedProject { affects: Affected::One(project), mistake }),
            }
        }
        (projects, malformed)
    }
}

impl FromIterator<Arc<SigningKeys>> for Projects {
    fn from_iter<I: IntoIterator<Item = Arc<SigningKeys>>>(all: I) -> Self {
        let mut projects = Self::default();
        all.into_iter().for_each(|keys| projects.insert(keys));
        projects
    }
}

impl IntoIterator for Projects {
    type Item = Arc<SigningKeys>;
    type IntoIter = std::collections::btree_map::IntoValues<Project, Arc<SigningKeys>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_values()
    }
}

/// The project of these keys alone.
impl From<SigningKeys> for Projects {
    fn from(keys: SigningKeys) -> Self {
        Self::from_iter([Arc::new(keys)])
    }
}

impl MalformedProject {
    /// Whether a project's keys may be meant.
    pub(super) fn may_be(&self, project: &Project) -> bool {
        match &self.affects {
            Affected::One(own) => own == project,
            Affected::Named => !project.is_default(),
            Affected::None => false,
        }
    }
}

/// The path of a project's member in the secret.
fn path(project: &Project, member: &str) -> String {
    if project.is_default() { member.to_owned() } else { format!("{PROJECTS}.{project}.{member}") }
}

/// The members that are in every token.
const PUBLIC: [&str; 2] = [API_KEY, APP_ID];
/// The secret's member with the projects.
pub(crate) const PROJECTS: &str = "projects";
const EXAMPLE: &str =
    r#"{"eu": {"LIVEKIT_URL": "wss://…", "LIVEKIT_API_KEY": "…", "LIVEKIT_API_SECRET": "…"}}"#;
