//! Who a client is, by what its `CONNECT` shows.

use crosstie_proto::nats::Connect;

use crate::options::{Auth, Permissions, Secret, User};

/// What to do about a `CONNECT`.
pub(super) enum Verdict {
    /// Let it in by what it has shown.
    Admit(Shown),
    /// A hashed password has to be checked first, which takes long: not on a reactor.
    Check { check: PasswordCheck, then: Shown },
    /// Turn it away.
    Refuse,
}

/// What a client has shown to be let in, as the options had it then. It holds as long as they still have it.
#[derive(Clone)]
pub(super) enum Shown {
    Nothing,
    Token(Secret),
    Password { user: String, secret: Secret },
}

/// How a client is let in.
pub(super) struct Admission {
    pub(super) user: Option<String>,
    pub(super) permissions: Option<Permissions>,
}

impl Admission {
    const ANYBODY: Self = Self { user: None, permissions: None };

    fn user(user: &User) -> Self {
        let all = user.permissions == Permissions::default();
        Self { user: Some(user.name.clone()), permissions: (!all).then(|| user.permissions.clone()) }
    }
}

/// How a client is let in that has shown this; `None` if it is not, or no longer.
pub(super) fn admission(auth: &Auth, shown: &Shown) -> Option<Admission> {
    if auth.token.is_none() && auth.users.is_empty() {
        return Some(Admission::ANYBODY);
    }
    match shown {
        Shown::Nothing => {
            let name = auth.no_auth_user.as_deref()?;
            auth.users.iter().find(|user| user.name == name).map(Admission::user)
        }
        Shown::Token(token) => (auth.token.as_ref() == Some(token)).then_some(Admission::ANYBODY),
        Shown::Password { user: name, secret } => {
            auth.users.iter().find(|user| user.name == *name && user.password == *secret).map(Admission::user)
        }
    }
}

/// A password to hold against a bcrypt hash: tens of milliseconds of work.
pub struct PasswordCheck {
    password: String,
    hash: Secret,
}

impl PasswordCheck {
    /// True if the password is the one that was hashed. Takes long on purpose.
    pub fn run(&self) -> bool {
        bcrypt::verify(&self.password, self.hash.expose()).unwrap_or(false)
    }
}

pub(super) fn judge(auth: &Auth, connect: &Connect) -> Verdict {
    if auth.token.is_none() && auth.users.is_empty() {
        return Verdict::Admit(Shown::Nothing);
    }
    if let Some(name) = connect.user.as_deref().filter(|name| !name.is_empty()) {
        // A name that does not exist costs as much as a wrong password where hashes are used, so that names cannot be probed.
        let user = auth.users.iter().find(|user| user.name == name);
        let secret = user
            .map(|user| &user.password)
            .or_else(|| auth.users.iter().map(|user| &user.password).find(|s| s.is_hashed()));
        return secret.map_or(Verdict::Refuse, |secret| {
            let shown = Shown::Password { user: name.to_owned(), secret: secret.clone() };
            compare(secret, connect.pass.as_deref().unwrap_or_default(), shown, user.is_some())
        });
    }
    if let (Some(token), Some(shown)) = (&auth.token, connect.auth_token.as_deref()) {
        return compare(token, shown, Shown::Token(token.clone()), true);
    }
    if connect.auth_token.is_none() { Verdict::Admit(Shown::Nothing) } else { Verdict::Refuse }
}

fn compare(secret: &Secret, text: &str, shown: Shown, exists: bool) -> Verdict {
    if secret.is_hashed() {
        // Longer passwords than bcrypt looks at are refused, not cut; an absent user is checked against a hash nobody has.
        let password = if exists && text.len() <= 72 { text.to_owned() } else { "\u{1}absent".to_owned() };
        return Verdict::Check { check: PasswordCheck { password, hash: secret.clone() }, then: shown };
    }
    let same = exists & equal(secret.expose().as_bytes(), text.as_bytes());
    if same { Verdict::Admit(shown) } else { Verdict::Refuse }
}

/// Compares in a time that depends on the length of `shown` alone.
fn equal(secret: &[u8], shown: &[u8]) -> bool {
    let difference =
        shown.iter().enumerate().fold(0u8, |sum, (i, byte)| sum | (byte ^ secret.get(i).copied().unwrap_or(!byte)));
    (difference == 0) & (secret.len() == shown.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth() -> Auth {
        let user = |name: &str, password: &str| User {
            name: name.into(),
            password: Secret::new(password),
            permissions: Permissions::default(),
        };
        Auth { users: vec![user("ann", "a"), user("bob", &bcrypt::hash("b", 4).unwrap())], ..Auth::default() }
    }

    fn admitted(auth: &Auth, connect: Connect) -> Option<String> {
        let admission = match judge(auth, &connect) {
            Verdict::Admit(shown) => admission(auth, &shown),
            Verdict::Check { check, then } => check.run().then(|| admission(auth, &then)).flatten(),
            Verdict::Refuse => None,
        };
        admission.map(|admission| admission.user.unwrap_or_default())
    }

    fn password(user: &str, pass: &str) -> Connect {
        Connect { user: Some(user.into()), pass: Some(pass.into()), ..Connect::default() }
    }

    #[test]
    fn passwords_are_compared_in_the_clear_or_by_hash() {
        assert_eq!(admitted(&auth(), password("ann", "a")).as_deref(), Some("ann"));
        assert_eq!(admitted(&auth(), password("bob", "b")).as_deref(), Some("bob"));
        for (user, pass) in
            [("ann", "b"), ("ann", ""), ("ann", "aa"), ("bob", "a"), ("eve", "a"), ("eve", "\u{1}absent")]
        {
            assert_eq!(admitted(&auth(), password(user, pass)), None, "{user} {pass}");
        }
        assert_eq!(admitted(&auth(), Connect::default()), None);
    }

    #[test]
    fn without_credentials_one_is_the_fallback_user_if_there_is_one() {
        let auth = Auth { no_auth_user: Some("ann".into()), ..auth() };
        assert_eq!(admitted(&auth, Connect::default()).as_deref(), Some("ann"));
        assert_eq!(admitted(&auth, password("ann", "wrong")), None);
    }

    #[test]
    fn a_token_is_compared_whole() {
        let auth = Auth { token: Some(Secret::new("tok")), ..Auth::default() };
        let token = |token: &str| Connect { auth_token: Some(token.into()), ..Connect::default() };
        assert!(admitted(&auth, token("tok")).is_some());
        assert!(
            admitted(&auth, token("to")).is_none()
                && admitted(&auth, token("toke")).is_none()
                && admitted(&auth, token("")).is_none()
        );
    }
}
