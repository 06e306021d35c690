//! Tokens that an identity provider of others has issued, for users of this store.

use std::rc::Rc;
use std::sync::Arc;

use crate::access::View;
use crate::access::credential::Proof;
use crate::access::decision::{Denial, Facts};
use crate::access::issuers::{Issuer, Published};
use crate::access::remembered::Remembered;
use crate::authn::oidc::{Claims, Invalid, Token};
use crate::types::{AuthenticationType, Reason, Timestamp};

/// The provider that a token says it comes from, if it is one whose tokens count. Anything else may be a token of ours.
pub(super) fn find<'v>(view: &'v View, remembered: &Remembered, text: &[u8]) -> Option<&'v Arc<Issuer>> {
    // Read again is only what was not verified before, of us or of a provider.
    if view.issuers.is_empty() || remembered.tokens.find(text, |_, _| true).is_some() {
        return None;
    }
    let known = |issuer: &&Arc<Issuer>| remembered.issued.find(text, |(from, _), _| Arc::ptr_eq(from, issuer)).is_some();
    view.issuers.iter().find(known).or_else(|| {
        let issuer = Token::parse(text)?.claimed_issuer()?;
        view.issuers.iter().find(|known| known.settings.issuer == issuer)
    })
}

/// Verifies a token of this provider. It names a user of one of the provider's accounts, for whom the rules of a console login hold.
///
/// SECURITY: a token with an unknown key is refused at once: which keys a provider has is public. Nothing is fetched for it here
/// (test `a_provider_is_asked_for_new_keys_now_and_then_whatever_tokens_name`).
pub(super) fn verify<'v>(
    view: &'v View,
    remembered: &Remembered,
    issuer: &'v Arc<Issuer>,
    text: &[u8],
    now: Timestamp,
    facts: &mut Facts<'v>,
) -> Result<Proof<'v>, Denial> {
    let published = issuer.published().ok_or_else(|| {
        issuer.want();
        Denial::with(Reason::TokenInvalid, "the keys of its issuer could not be fetched yet")
    })?;
    let claims = claims_of(remembered, issuer, &published, text, now)?;
    if now >= claims.expires_at {
        return Err(Denial::new(Reason::TokenExpired));
    }
    let settings = &issuer.settings;
    let id = claims.text(&settings.user_claim).and_then(|id| id.parse().ok());
    let id =
        id.ok_or_else(|| Denial::with(Reason::TokenInvalid, format!("its claim `{}` is not the id of a user", settings.user_claim)))?;
    // SECURITY: who may sign for one account does not find out who is in another.
    let user = view.snapshot.user(id).filter(|user| settings.accounts.contains(&user.principal.account));
    let user = user.ok_or(Denial::with(Reason::TokenInvalid, "it names no user of the accounts that its issuer may speak for"))?;
    facts.proved(Proof::Console(user), AuthenticationType::ConsoleLogin);
    facts.issuer = Some(&settings.issuer);
    Ok(Proof::Console(user))
}

fn claims_of(
    remembered: &Remembered,
    issuer: &Arc<Issuer>,
    published: &Arc<Published>,
    text: &[u8],
    now: Timestamp,
) -> Result<Rc<Claims>, Denial> {
    // Whatever it has published since, may not have the key any more.
    let holds = |(from, with): &(Arc<Issuer>, Arc<Published>), _: &Claims| Arc::ptr_eq(from, issuer) && Arc::ptr_eq(with, published);
    if let Some(known) = remembered.issued.find(text, holds) {
        return Ok(known);
    }
    let invalid = || Denial::new(Reason::TokenInvalid);
    let token = Token::parse(text).ok_or_else(invalid)?;
    let name = token.key_name().ok_or_else(invalid)?;
    if !published.keys.has(&name) {
        issuer.want();
        return Err(Denial::with(Reason::TokenInvalid, "its issuer has published no key of that name; a new one counts within seconds"));
    }
    let settings = &issuer.settings;
    let verified = token.verify(&published.keys, &settings.issuer, &settings.audiences, now).map_err(|error| match error {
        Invalid::Signature => invalid(),
        Invalid::Claim(name, what) => Denial::with(Reason::TokenInvalid, format!("its claim `{name}` {what}")),
    });
    let claims = Rc::new(verified?);
    remembered.issued.put(text, (Arc::clone(issuer), Arc::clone(published)), &claims);
    Ok(claims)
}
