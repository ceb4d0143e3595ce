//! The access file: users, their tokens' hashes, and the header of a proxy.

use super::{Role, Scope, Viewer};
use crate::failure::Failure;
use crate::serve::listen::Peer;
use crate::serve::refusal::Refusal;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::path::Path;
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// The content of the file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessFile {
    #[serde(default, rename = "user")]
    users: Vec<User>,
    header: Option<Header>,
}

/// A person or a program, and what it may see.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    name: String,
    /// SHA-256 of the token, in hexadecimal.
    token_sha256: Option<String>,
    roles: Vec<Role>,
    tenants: Option<Vec<String>>,
    entity_types: Option<Vec<String>>,
    /// The login of the user's tenant, by which the user's events are read.
    database_url: Option<String>,
}

/// A header in which a proxy names the user.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    name: String,
    /// The proxies' addresses. A Unix socket needs none.
    #[serde(default)]
    peers: Vec<IpAddr>,
    /// The roles of users that the file does not name.
    roles: Option<Vec<Role>>,
    tenants: Option<Vec<String>>,
    entity_types: Option<Vec<String>>,
}

/// The most characters of a name that a proxy may state.
const LONGEST_NAME: usize = 200;

impl AccessFile {
    /// Reads and checks a file.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let failed = |why: String| Failure::Usage(format!("cannot use the access file {}: {why}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        Self::parse(&text).map_err(failed)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let file: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        if file.users.is_empty() && file.header.is_none() {
            return Err("it names neither a user nor a header; add [[user]] with name, token_sha256 and roles".into());
        }
        let mut names = std::collections::HashSet::new();
        for user in &file.users {
            let name = &user.name;
            if name.is_empty() || !names.insert(name) {
                return Err(format!(
                    "the user name {name:?} is empty or stands twice; give each user a name of its own"
                ));
            }
            if user.token_sha256.is_none() && file.header.is_none() {
                return Err(format!(
                    "the user {name} has no token_sha256; make one: audit-trail serve --new-token {name}"
                ));
            }
            if user.database_url.is_some() && user.tenants.as_ref().is_none_or(|tenants| tenants.len() != 1) {
                return Err(format!("database_url of {name} is the login of one tenant; name it: tenants = [\"..\"]"));
            }
            let is_hash = |hash: &String| hex::decode(hash).is_ok_and(|hash| hash.len() == 32);
            if !user.token_sha256.as_ref().is_none_or(is_hash) {
                return Err(format!("token_sha256 of {name} is not a SHA-256 in 64 hexadecimal digits"));
            }
        }
        if let Some(header) = &file.header
            && HeaderName::from_bytes(header.name.as_bytes()).is_err()
        {
            return Err(format!("{:?} is not the name of a header", header.name));
        }
        Ok(file)
    }

    /// Returns whether a user can log in.
    pub(crate) fn has_tokens(&self) -> bool {
        self.users.iter().any(|user| user.token_sha256.is_some())
    }

    /// Returns whether a proxy may name the user without being named itself: on a Unix socket.
    pub(crate) fn trusts_only_peers(&self) -> bool {
        self.header.as_ref().is_some_and(|header| !header.peers.is_empty())
    }

    /// Finds the user of a token. It compares the token with all, each in constant time.
    pub(crate) fn by_token(&self, token: &str) -> Option<&User> {
        let given = Sha256::digest(token.as_bytes());
        let mut found = None;
        for user in &self.users {
            let hash = user.token_sha256.as_ref().and_then(|hash| hex::decode(hash).ok()).unwrap_or_default();
            if bool::from(hash.as_slice().ct_eq(given.as_slice())) {
                found = Some(user);
            }
        }
        found
    }

    /// Returns the users whose events a login of their tenant reads: the name, the tenant and the URL.
    pub(crate) fn logins(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.users.iter().filter_map(|user| {
            let tenant = user.tenants.as_ref()?.first()?;
            Some((user.name.as_str(), tenant.as_str(), user.database_url.as_deref()?))
        })
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }

    /// Finds the user whom a proxy names. The header counts only from a named peer, by the address
    /// of its connection, or through a Unix socket.
    pub(crate) fn by_header(&self, headers: &HeaderMap, peer: &Peer) -> Result<Option<User>, Refusal> {
        let Some(header) = &self.header else {
            return Ok(None);
        };
        let is_trusted = match peer {
            Peer::Socket => true,
            Peer::Tcp(address) => header.peers.contains(&address.ip().to_canonical()),
        };
        let mut values = headers.get_all(header.name.as_str()).iter();
        let (true, Some(value)) = (is_trusted, values.next()) else {
            return Ok(None);
        };
        let refused = |text: String| Refusal::new(StatusCode::FORBIDDEN, text);
        if values.next().is_some() {
            return Err(refused(format!("the header {} stands twice; the proxy has to replace it", header.name)));
        }
        let is_name = |name: &&str| !name.is_empty() && name.len() <= LONGEST_NAME && !name.contains(char::is_control);
        let name = value.to_str().ok().map(str::trim).filter(is_name);
        let name = name.ok_or_else(|| refused(format!("the header {} holds no name", header.name)))?;
        if let Some(user) = self.by_name(name) {
            return Ok(Some(user.clone()));
        }
        let roles = header.roles.clone().ok_or_else(|| refused(format!("the access file does not name {name:?}")))?;
        let (tenants, entity_types) = (header.tenants.clone(), header.entity_types.clone());
        let (token_sha256, database_url) = (None, None);
        Ok(Some(User { name: name.to_owned(), token_sha256, roles, tenants, entity_types, database_url }))
    }
}

impl User {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn viewer(&self, peer: &Peer, is_logged_in: bool) -> Viewer {
        let scope = Scope { tenants: self.tenants.clone(), entity_types: self.entity_types.clone() };
        Viewer { name: self.name.clone(), roles: self.roles.clone(), scope, peer: peer.clone(), is_logged_in }
    }
}

/// Makes a token: the token itself, and the lines for the access file.
pub(crate) fn new_token(name: &str) -> (String, String) {
    // 244 random bits of the operating system.
    let token = format!("audit_{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let hash = hex::encode(Sha256::digest(token.as_bytes()));
    let name = toml::Value::from(name);
    (token, format!("[[user]]\nname = {name}\ntoken_sha256 = \"{hash}\"\nroles = [\"view\", \"export\"]\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    fn tcp(address: &str) -> Peer {
        Peer::Tcp(format!("{address}:4711").parse().unwrap())
    }

    #[test]
    fn a_token_is_known_by_its_hash() {
        let (token, lines) = new_token("ann \"the\" auditor");
        let file = AccessFile::parse(&lines).unwrap();
        assert_eq!(file.by_token(&token).unwrap().name(), "ann \"the\" auditor");
        assert!(file.by_token("audit_").is_none() && file.by_token("").is_none());
    }

    #[test]
    fn a_header_counts_from_named_peers_and_sockets_alone() {
        let text = "[header]\nname = \"X-Forwarded-User\"\npeers = [\"10.0.0.7\"]\nroles = [\"view\"]\n[[user]]\nname = \"ann\"\nroles = [\"view\", \"reveal\"]\ntenants = [\"acme\"]";
        let file = AccessFile::parse(text).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-user", HeaderValue::from_static("ann"));
        headers.insert("x-forwarded-for", HeaderValue::from_static("10.0.0.7"));
        assert!(file.by_header(&headers, &tcp("10.0.0.8")).unwrap().is_none());
        assert!(file.by_header(&headers, &tcp("[::ffff:10.0.0.7]")).unwrap().is_some());
        let ann = file.by_header(&headers, &tcp("10.0.0.7")).unwrap().unwrap().viewer(&Peer::Socket, false);
        assert!(ann.has(Role::Reveal) && ann.scope.tenants.as_deref() == Some(&["acme".to_owned()][..]));
        headers.insert("x-forwarded-user", HeaderValue::from_static("bob"));
        let bob = file.by_header(&headers, &Peer::Socket).unwrap().unwrap().viewer(&Peer::Socket, false);
        assert_eq!(bob.roles, [Role::View]);
        headers.append("x-forwarded-user", HeaderValue::from_static("ann"));
        assert!(file.by_header(&headers, &Peer::Socket).is_err());
    }

    #[test]
    fn mistakes_are_named() {
        for (text, named) in [
            ("", "neither a user nor a header"),
            ("[[user]]\nname = \"a\"\nroles = []", "has no token_sha256"),
            ("[[user]]\nname = \"a\"\nroles = []\ntoken_sha256 = \"12\"", "is not a SHA-256"),
            ("[[user]]\nname = \"a\"\nroles = [\"admin\"]", "unknown variant"),
            ("[[user]]\nname = \"a\"\nroles = []\ntenant = \"x\"", "unknown field"),
            ("[header]\nname = \"a b\"", "is not the name of a header"),
            (
                "[header]\nname = \"a\"\n[[user]]\nname = \"a\"\nroles = []\ndatabase_url = \"postgres://x\"",
                "login of one tenant",
            ),
        ] {
            let error = AccessFile::parse(text).unwrap_err();
            assert!(error.contains(named), "{text}: {error}");
        }
        let twice = format!("[[user]]\nname = \"a\"\nroles = []\ntoken_sha256 = \"{HASH}\"\n").repeat(2);
        assert!(AccessFile::parse(&twice).unwrap_err().contains("stands twice"));
    }
}
