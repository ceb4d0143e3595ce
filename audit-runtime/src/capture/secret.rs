//! Names that denote secrets. The attribute refuses such parameters, and the runtime masks such
//! keys inside captured values.
//!
//! audit-macros has a copy of this file and of its folder, for a library of macros exports nothing
//! else. A test of audit-macros holds the copies equal.
//!
//! A table of words decides. [`judge`] cuts a name into words, folds them, and looks up each word,
//! and each two and three neighbours written as one. Metadata words beside a secret word turn it
//! into a name about the secret.

mod vocabulary;
mod words;

use vocabulary::*;
use words::plain_letter;
pub(crate) use words::words;

/// States the relation of a name to secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    /// The name mentions no secret.
    Nothing,
    /// The name mentions a secret, and its value only describes it: `token_count`, `has_password`.
    About,
    /// The value is the secret.
    Secret,
}

/// Returns whether a name denotes a secret, by its words: `user_password`, `apiKey` and `cvv2` do,
/// `spin` and `token_count` do not.
pub(crate) fn says_secret(name: &str) -> bool {
    judge(name) == Says::Secret
}

/// Returns the relation of a name to secrets.
pub(crate) fn judge(name: &str) -> Says {
    const SHORT_NAME: usize = 64;
    let mut reader = Judge::default();
    if name.len() <= SHORT_NAME && name.is_ascii() {
        let (mut folded, mut end) = ([0; SHORT_NAME], 0);
        for word in words(name) {
            let start = end;
            for byte in word.bytes() {
                folded[end % SHORT_NAME] = byte.to_ascii_lowercase();
                end += 1;
            }
            end = reader.word(&folded[..end], start);
        }
    } else {
        let mut folded = String::with_capacity(name.len());
        for word in words(name) {
            let start = folded.len();
            folded.extend(word.chars().flat_map(char::to_lowercase).filter_map(plain_letter));
            let end = reader.word(folded.as_bytes(), start);
            folded.truncate(end);
        }
    }
    reader.verdict()
}

/// Reads a name word by word.
#[derive(Default)]
struct Judge {
    /// Starts of the three words read last, the latest one first.
    starts: [usize; 3],
    words: usize,
    /// Meanings of the first word, of all words so far, and of the latest one.
    first: Option<u32>,
    seen: u32,
    latest: u32,
    /// Whether a secret was mentioned, and whether nothing behind it has described it yet.
    mentioned: bool,
    open: bool,
}

impl Judge {
    /// Reads the word from `start` on, folded and glued to those before, and returns where it ends
    /// without its digits.
    fn word(&mut self, text: &[u8], start: usize) -> usize {
        let digits = text[start..].iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let text = &text[..text.len() - digits];
        let word = &text[start..];
        if word.is_empty() {
            return start;
        }
        self.starts = [start, self.starts[0], self.starts[1]];
        self.words += 1;
        let mut meaning = VOCABULARY.meaning(word);
        for back in 1..self.words.min(3) {
            let glued = VOCABULARY.meaning(&text[self.starts[back]..]);
            if glued & (CUT | OTHER) != 0 {
                meaning |= glued;
            }
        }
        if meaning == 0 {
            self.run_together(word);
        } else {
            self.read(meaning);
        }
        text.len()
    }

    /// Takes in the meaning of the next word.
    fn read(&mut self, meaning: u32) {
        let first = *self.first.get_or_insert(meaning);
        if meaning & OTHER != 0 {
            (self.mentioned, self.open) = (true, false);
        } else if meaning & SECRET != 0 {
            let described = self.seen & BEFORE
                | first & FIRST
                | if meaning & PLURAL == 0 { 0 } else { self.seen & COUNTING }
                | if meaning & TOKENS == 0 { 0 } else { self.seen & METERED };
            self.mentioned = true;
            self.open |= described == 0;
        } else if meaning & AFTER != 0 || meaning & EVERYDAY != 0 && self.latest & SHORT != 0 {
            self.open = false;
        }
        self.seen |= meaning;
        self.latest = meaning;
    }

    /// Reads a word that the vocabulary does not hold, but may hold in two parts.
    #[inline]
    fn run_together(&mut self, word: &[u8]) {
        let (mut openings, mut endings) = VOCABULARY.parts(word);
        while let Some(length) = longest(&mut endings) {
            let (head, tail) = word.split_at(word.len() - length);
            let meaning = VOCABULARY.meaning(tail);
            if meaning & ENDING != 0 {
                self.read(VOCABULARY.meaning(head));
                return self.read(meaning);
            }
        }
        while let Some(length) = longest(&mut openings) {
            let (head, tail) = word.split_at(length);
            let meaning = VOCABULARY.meaning(head);
            if meaning & SECRET != 0 {
                let rest = VOCABULARY.meaning(tail);
                if meaning & OPENING != 0 || rest & (AFTER | CLOSING | REST) != 0 {
                    self.read(meaning);
                    return self.read(rest);
                }
            }
        }
        self.read(0);
    }

    /// Concludes at the end of the name.
    fn verdict(&self) -> Says {
        let latest = if self.latest & OTHER == 0 { self.latest } else { 0 };
        let described = self.seen & BEFORE | self.first.unwrap_or(0) & FIRST;
        let at_the_end = latest & LAST != 0 || latest & ALONE != 0 && self.words == 1;
        let closed = latest & CLOSING != 0 && latest & SECRET == 0;
        if self.open && !closed || at_the_end && described == 0 {
            Says::Secret
        } else if self.mentioned || at_the_end {
            Says::About
        } else {
            Says::Nothing
        }
    }
}

/// Takes the greatest length out of a set of lengths.
#[inline]
fn longest(lengths: &mut u64) -> Option<usize> {
    let length = 63_u32.checked_sub(lengths.leading_zeros())?;
    *lengths &= !(1 << length);
    Some(length as usize)
}

#[cfg(test)]
mod tests {
    use super::vocabulary::TABLE;
    use super::*;

    #[track_caller]
    fn all(expected: Says, names: &str) {
        for name in names.split_ascii_whitespace() {
            assert_eq!(judge(name), expected, "{name}");
        }
    }

    #[test]
    fn names_are_cut_into_words_whatever_their_case_and_script() {
        for (name, expected) in [
            ("user_password", vec!["user", "password"]),
            ("apiKey", vec!["api", "Key"]),
            ("APIKey", vec!["API", "Key"]),
            ("X-Api-Key", vec!["X", "Api", "Key"]),
            ("r#type", vec!["r", "type"]),
            ("größe_PIN2", vec!["größe", "PIN2"]),
            ("НовыйПароль", vec!["Новый", "Пароль"]),
            ("ａｐｉ＿ｋｅｙ", vec!["ａｐｉ", "ｋｅｙ"]),
            ("รหัสผ่าน.x", vec!["รหัสผ่าน", "x"]),
            ("__", vec![]),
        ] {
            assert_eq!(words(name).collect::<Vec<_>>(), expected, "{name}");
        }
    }

    #[test]
    fn secrets_are_told_by_whole_words() {
        all(Says::Secret, "password user_password api_key stripeApiKeyId PIN access_token Card-Number pan ssn otp cvv");
        all(
            Says::Secret,
            "credentials client_secret refresh_token id_token x-csrf-token x-api-key webhook_secret hmac_key",
        );
        all(
            Says::Secret,
            "signing_key private_key master_key ssh_key storageKey account_key mfa_code totp recovery_code",
        );
        all(Says::Secret, "token_address token_in token_out token_id token_hash password_hash password_confirmation");
        all(
            Says::Secret,
            "password_reset_token secret_id pw pass sid DB_PASS userpw passkey pin_code pin_number code_verifier",
        );
        all(
            Says::Secret,
            "credit_card creditCard card_no credit_card_number social_security_number socialSecurityNumber",
        );
        all(
            Says::Secret,
            "db_url dsn connection_string database_url DATABASE_URL mnemonic seed_phrase backup_codes mongoUri",
        );
        all(
            Says::Nothing,
            "spin pinned tokenizer tokenized idempotency_key key secretary company api card monkey keyboard",
        );
        all(
            Says::Nothing,
            "passenger passport compass public_key primary_key foreign_key partition_key sort_key cache_key",
        );
        all(
            Says::Nothing,
            "span pandas author authority authorized bearer_share turkey donkey whiskey iban seed pass_rate",
        );
        all(
            Says::Nothing,
            "pinterest panel panic secretion bypass boarding_pass account_sid webhook_url role_key passage x",
        );
    }

    #[test]
    fn headers_and_sessions_are_secrets() {
        all(
            Says::Secret,
            "Authorization Proxy-Authorization Cookie Set-Cookie bearer jwt auth auth_header x-auth authHeader",
        );
        all(
            Says::Secret,
            "session_id sessionid sessionId JSESSIONID PHPSESSID connect.sid session_token sessionKey x-xsrf",
        );
        all(
            Says::Secret,
            "authorization_code basic_auth X-Auth-Key Ocp-Apim-Subscription-Key X-Amz-Security-Token auth1",
        );
        all(
            Says::Nothing,
            "session_count session_started_at session_duration session auth_method auth_provider auth_time",
        );
        all(
            Says::Nothing,
            "authorization_status is_authenticated authorization_id authorized_by csrf_protection bearer_bond",
        );
        all(
            Says::About,
            "cookie_consent cookie_policy_accepted cookies_enabled has_auth needs_authorization jwt_issuer",
        );
    }

    #[test]
    fn run_together_words_and_digits_hide_nothing() {
        all(
            Says::Secret,
            "password1 OldPassword2 newpassword userpassword pass_word pass-word passWord password_2 pwd1",
        );
        all(
            Says::Secret,
            "secretkey SECRETKEY cvv2 cardnumber encryptionkey apikey stripeapikey APIkey DBpassword JWTsecret",
        );
        all(
            Says::Secret,
            "accesstoken clientsecret passwordhash secretvalue usertokens sessiontoken mysecret authtoken userpin",
        );
        all(
            Says::About,
            "haspassword maxtokens tokencount tokensused passwordless passwordpolicy otpenabled tokentype",
        );
        all(Says::Nothing, "2 123 a1 h264 sha256 line2 spin2 monkey1");
    }

    #[test]
    fn words_about_a_secret_leave_the_value_clear() {
        all(Says::About, "max_tokens token_count tokens_used token_type num_tokens prompt_tokens completion_tokens");
        all(
            Says::About,
            "total_tokens maxOutputTokens cache_read_input_tokens tokens_per_second n_tokens eos_token_id",
        );
        all(Says::About, "has_password password_changed_at password_expires password_length password_policy is_secret");
        all(Says::About, "password_reset_at password_reset_requested otp_enabled credentials_count access_key_count");
        all(
            Says::About,
            "pwd_expires secret_santa access_key_id awsAccessKeyId card_number_last4 secret_version user_has_pin",
        );
        all(
            Says::About,
            "pin_to_top pan_european pan_x pin_count gpio_pin token_symbol secret_name api_key_last_used_at",
        );
        all(Says::About, "max_credentials show_password password_set mfa_code_sent apiKeyCreatedBy credit_card_brand");
        all(Says::Nothing, "mfa_enabled");
        all(
            Says::Secret,
            "single_use_token cached_credentials input_password current_token SalesForceToken access_tokens",
        );
    }

    #[test]
    fn other_languages_and_letters_say_it_too() {
        all(
            Says::Secret,
            "passwort neues_Passwort Benutzerpasswort пароль НовыйПароль ПАРОЛЬ contraseña CONTRASEÑA mot_de_passe",
        );
        all(
            Says::Secret,
            "motDePasse senha hasło heslo jelszó lösenord wachtwoord şifre ŞİFRE 密码 新密码 パスワード 비밀번호",
        );
        all(
            Says::Secret,
            "ｐａｓｓｗｏｒｄ ＰａｓｓＷｏｒｄ ａｐｉ＿ｋｅｙ contrasen\u{303}a pass\u{200b}word PASSWORD_größe รหัสผ่าน पासवर्ड كلمة_المرور",
        );
        all(Says::Secret, "mật_khẩu סיסמה palavra-passe clave parola κωδικός_πρόσβασης");
        all(Says::Nothing, "palavra größe ключ 名前 palabra adresse");
        all(Says::About, "palabra_clave ｔｏｋｅｎ＿ｃｏｕｎｔ");
    }

    #[test]
    fn any_text_is_a_name() {
        let long = "a_b".repeat(50_000) + "_password";
        assert!(says_secret(&long));
        assert!(!says_secret(&(long + "_count")));
        let mut seed = 7_u32;
        for length in 0..3_000 {
            let name: String = (0..length % 90)
                .filter_map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    char::from_u32(seed >> [25, 20, 16, 11][seed as usize >> 8 & 3])
                })
                .collect();
            judge(&name);
        }
    }

    #[test]
    fn the_table_is_written_as_names_are_folded() {
        for word in TABLE.iter().flat_map(|row| row.1.split(' ').chain(row.2.split(' '))) {
            assert_eq!(word.chars().flat_map(char::to_lowercase).filter_map(plain_letter).collect::<String>(), word);
        }
    }
}
