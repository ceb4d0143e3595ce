//! Words that name a secret, and words that make a name only about one.

/// Names a secret as a whole word. Each of the next five implies this one.
pub(super) const SECRET: u32 = 1;
/// Names a secret also when the name cuts the word into two or three.
pub(super) const CUT: u32 = 1 << 1;
/// Names a secret also at the end of a run-together word: `newpassword`.
pub(super) const ENDING: u32 = 1 << 2;
/// Names a secret also at the head of a run-together word, whatever follows: `passwordagain`.
pub(super) const OPENING: u32 = 1 << 3;
/// Names several secrets, so a counting word makes it a number: `max_credentials`.
pub(super) const PLURAL: u32 = 1 << 4;
/// Names a secret, but is short enough to have an everyday sense.
pub(super) const SHORT: u32 = 1 << 5;
/// Follows such a short word in its everyday sense.
pub(super) const EVERYDAY: u32 = 1 << 6;
/// Names what language models and chains meter.
pub(super) const TOKENS: u32 = 1 << 7;
/// Names a secret unless more words follow: `x-auth`, but not `auth_method`.
pub(super) const LAST: u32 = 1 << 8;
/// Names a secret only as the whole name: `pass`, but not `boarding_pass`.
pub(super) const ALONE: u32 = 1 << 9;
/// Names something else, in one word or cut into several.
pub(super) const OTHER: u32 = 1 << 10;
/// Describes the secret that follows anywhere behind.
pub(super) const BEFORE: u32 = 1 << 11;
/// Describes the secret that follows, as the first word of the name.
pub(super) const FIRST: u32 = 1 << 12;
/// Counts the several secrets that follow.
pub(super) const COUNTING: u32 = 1 << 13;
/// Meters the tokens that follow.
pub(super) const METERED: u32 = 1 << 14;
/// Describes the secret in front.
pub(super) const AFTER: u32 = 1 << 15;
/// Describes the secret in front, as the last word of the name.
pub(super) const CLOSING: u32 = 1 << 16;
/// Belongs to a secret in front of it in the same run-together word: `secrethash`.
pub(super) const REST: u32 = 1 << 17;

/// Lists words with their meaning: each first part with each second part, in lower case, without
/// accents.
pub(super) const TABLE: &[(u32, &str, &str)] = &[
    (CUT | ENDING | OPENING, "password passwd passphrase passcode", ""),
    (CUT | ENDING | OPENING | PLURAL, "passwords passphrases passcodes", ""),
    // Germanic, Romance, Slavic, Baltic, Finno-Ugric and other languages in Latin letters.
    (CUT | ENDING | OPENING, "passwort kennwort wachtwoord losenord passord adgangskode kodeord lykilord salasana", ""),
    (CUT | ENDING | OPENING, "contrasena contrasenya contrasinal pasahitza motdepasse motsdepasse palavrapasse", ""),
    (CUT | ENDING | OPENING, "passworter kennworter contrasenas wachtwoorden jelszo lozinka zaporka slaptazodis", ""),
    (CUT, "claveacceso clavedeacceso clavesecreta katasandi katalaluan matkhau codigosecreto", ""),
    (ENDING, "heslo haslo geslo sifre geheimnis geheimzahl zugangsdaten", ""),
    (SECRET, "mdp parool parolasi sifreniz segredo geheimwort", ""),
    (LAST, "parola parol clave", ""),
    (OTHER, "parolachiave palabraclave claveprimaria", ""),
    // Other scripts. Chinese, Japanese and Thai write words without a gap.
    (ENDING | OPENING, "парол пароль пароли секрет токен лозинка συνθηματικο סיסמה סיסמא ססמה", ""),
    (ENDING | OPENING, "密码 密碼 口令 パスワード パスフレーズ ﾊﾟｽﾜｰﾄﾞ 暗証番号 秘密鍵 비밀번호 암호 패스워드 비번", ""),
    (ENDING | OPENING, "รหัสผ่าน पासवर्ड कूटशब्द পাসওয়ার্ড கடவுச்சொல் პაროლი գաղտնաբառ", ""),
    (CUT | ENDING | OPENING, "كلمةالمرور كلمةالسر گذرواژه رمزعبور κωδικοσπροσβασησ κωδικοςπροσβασης", ""),
    (ENDING, "pwd pswd passwrd pasword otp cvv cvc ssn jwt dsn secret token credential cookie", ""),
    (ENDING | PLURAL, "pwds secrets credentials cookies otps jwts", ""),
    (ENDING | PLURAL | TOKENS, "tokens", ""),
    (SECRET, "pw psw pword creds psk cvn xprv mnemonic mnemonics passkey passkeys", ""),
    (SHORT, "pan pin", ""),
    (CUT, "senha senhas", ""),
    (SECRET, "user card atm new old my login", "pin"),
    (LAST, "auth xauth basicauth httpauth proxyauth authorization proxyauthorization bearer csrf xsrf", ""),
    (ALONE, "pass sid", ""),
    (CUT | ENDING, "sessid sessionid sessionids connectsid sessionkey sessioncookie sessionticket", ""),
    (CUT, "user new old my db admin root smtp mysql pg postgres redis ftp proxy mail email http sudo login", "pass pw"),
    (CUT | ENDING, "api secret private priv access signing sign encryption encrypt decryption crypto cipher", "key"),
    (CUT | ENDING, "aes rsa des hmac master root ssh gpg pgp tls ssl pem storage account shared service", "key"),
    (CUT | ENDING, "server client app application deploy license licence session auth admin recovery backup", "key"),
    (CUT | ENDING, "symmetric wrapping wallet webhook subscription functions security jwt servicerole fernet", "key"),
    (CUT | ENDING, "write wpa wep wifi unlock spend token cookie password passwd pass authentication", "key"),
    (CUT | PLURAL, "api secret private access signing encryption ssh master account storage recovery", "keys"),
    (CUT, "apischlussel cleapi clefapi cleprivee claveapi chaveapi chaveprivada claveprivada ключapi", ""),
    (CUT, "auth authorization verification security recovery backup mfa 2fa tfa otp totp sms twofactor", "code codes"),
    (CUT, "onetime login access unlock reset activation device pin card authenticator scratch", "code codes"),
    (CUT, "auth authorization bearer", "header string value"),
    (CUT | ENDING, "credit debit bank", "card cards cardno"),
    (CUT | ENDING, "card cc pin socialsecurity socialinsurance", "number numbers num no nr"),
    (CUT | ENDING, "socialsecurity cardverification verificationvalue", ""),
    (CUT, "seed recovery backup secret mnemonic", "phrase phrases words"),
    (CUT, "walletseed codeverifier magiclink securityanswer memorableword samlresponse samlassertion", ""),
    (CUT | ENDING, "db database jdbc mongo mongodb redis postgres postgresql pg mysql amqp rabbitmq", "url uri"),
    (CUT | ENDING, "connection conn", "string str url uri"),
    (CUT | ENDING, "clientassertion clientsecret sharedaccesssignature brokerurl sasurl sasuri", ""),
    // Amazon calls this one an identifier and prints it in its own trail.
    (OTHER, "accesskeyid", ""),
    (OTHER, "secretsanta secretsharing secretservice topsecretclearance tokenring", ""),
    (OTHER, "frying peter gpio led map push drop bowling", "pan pin"),
    (OTHER, "max min num n nb eos bos pad unk sep cls", "token"),
    (OTHER, "tokensin tokensout tokencontract", ""),
    (BEFORE, "has have had hasnt is isnt was were can could should needs requires allows supports", ""),
    (BEFORE, "without does did", ""),
    (FIRST, "use uses show hide ask force accept enable disable allow require need missing with", ""),
    (COUNTING, "max min maximum minimum num nb n total count number sum avg average", ""),
    (METERED, "input output prompt completion completions cached cache reasoning thinking audio image text", ""),
    (METERED, "video used unused consumed remaining estimated context special stop prediction billed billable", ""),
    (AFTER, "count counts counter length len size type types kind format status policy policies version", ""),
    (AFTER, "expires expired expiry expiration expire exp ttl lifetime age validity valid invalid until since", ""),
    (AFTER, "created updated modified changed rotated rotation revoked issued used usage remaining left last", ""),
    (AFTER, "limit limits budget quota enabled disabled required optional present missing exists provided given", ""),
    (AFTER, "verified confirmed accepted requested sent failed consent banner notice preferences name names", ""),
    (AFTER, "label strength score complexity rule rules requirement requirements attempt attempts tries", ""),
    (AFTER, "retries failures error errors match matches matched mismatch algorithm alg issuer audience scope", ""),
    (AFTER, "scopes provider method mode source location path filename duration timeout interval min max per", ""),
    (AFTER, "date time timestamp day days hours minutes seconds secs ms index total rate ratio price amount", ""),
    (AFTER, "balance supply decimals symbol question less protected brand domain fingerprint reused", ""),
    (CLOSING, "at by set unset change changes state store service manager verification check login field", ""),
    (EVERYDAY, "to top bottom left right up down x y z and european american asian african arab angle speed", ""),
    (EVERYDAY, "tilt zoom color colour order message post comment board layout", ""),
    (REST, "hash hashed hashes value values text string plain plaintext clear raw data id ids key keys hint", ""),
    (REST, "confirm confirmation again repeat new old current encrypted header code codes number salt digest", ""),
    (REST, "url link file json encoded bytes hex pem", ""),
];

/// Number of the classes of two bytes.
const EDGES: usize = 1024;

/// Holds the table in a form that answers fast.
pub(super) struct Vocabulary {
    /// All words, one after the other.
    text: [u8; 16384],
    /// Start, length and meaning of each word.
    words: [(u16, u8, u32); 1024],
    /// Place of a word in `words` plus one, by its hash.
    slots: [u16; 4096],
    /// Lengths of the words that begin with two bytes, one bit each. They spare most searches.
    lengths: [u64; EDGES],
    /// Lengths of the secrets that begin with two bytes.
    openings: [u64; EDGES],
    /// Lengths of the `ENDING` words that end with two bytes.
    endings: [u64; EDGES],
}

pub(super) static VOCABULARY: Vocabulary = Vocabulary::new();

impl Vocabulary {
    const fn new() -> Self {
        let mut new = Self {
            text: [0; 16384],
            words: [(0, 0, 0); 1024],
            slots: [0; 4096],
            lengths: [0; EDGES],
            openings: [0; EDGES],
            endings: [0; EDGES],
        };
        let (mut row, mut end, mut count) = (0, 0, 0);
        while row < TABLE.len() {
            let (meaning, firsts, seconds) = TABLE[row];
            let mut first = next_word(firsts.as_bytes(), 0);
            while first.0 < first.1 {
                let mut second = next_word(seconds.as_bytes(), 0);
                loop {
                    let start = end;
                    end = copy(firsts.as_bytes(), first, &mut new.text, end);
                    end = copy(seconds.as_bytes(), second, &mut new.text, end);
                    if new.insert(start, end, meaning, count) {
                        count += 1;
                    } else {
                        end = start;
                    }
                    second = next_word(seconds.as_bytes(), second.1);
                    if second.0 == second.1 {
                        break;
                    }
                }
                first = next_word(firsts.as_bytes(), first.1);
            }
            row += 1;
        }
        new
    }

    /// Adds a word, or a meaning to a word that is there already, and returns whether it is new.
    const fn insert(&mut self, start: usize, end: usize, meaning: u32, count: usize) -> bool {
        let (_, tail) = self.text.split_at(start);
        let (word, _) = tail.split_at(end - start);
        let (first, last, length) = (opening(word), ending(word), word.len());
        assert!(length < 64, "a length is one bit of 64");
        let implied = if meaning & (CUT | ENDING | OPENING | PLURAL | SHORT) == 0 { 0 } else { SECRET };
        let meaning = meaning | implied;
        self.lengths[first] |= 1 << length;
        if meaning & SECRET != 0 {
            self.openings[first] |= 1 << length;
        }
        if meaning & ENDING != 0 {
            self.endings[last] |= 1 << length;
        }
        let mut slot = hash(word);
        while self.slots[slot] != 0 {
            let place = self.slots[slot] as usize - 1;
            let (other, size, _) = self.words[place];
            let mut same = 0;
            while same < length
                && size as usize == length
                && self.text[other as usize + same] == self.text[start + same]
            {
                same += 1;
            }
            if same == length {
                self.words[place].2 |= meaning;
                return false;
            }
            slot = (slot + 1) % self.slots.len();
        }
        self.words[count] = (start as u16, length as u8, meaning);
        self.slots[slot] = count as u16 + 1;
        true
    }

    /// Returns the meaning of a word, 0 for an unknown one.
    #[inline]
    pub(super) fn meaning(&self, word: &[u8]) -> u32 {
        let length = word.len();
        if length > 0 && length < 64 && self.lengths[opening(word)] >> length & 1 != 0 { self.find(word) } else { 0 }
    }

    /// Returns the lengths of the secrets that may stand at the head of a word, and at its end, but
    /// are shorter.
    #[inline]
    pub(super) fn parts(&self, word: &[u8]) -> (u64, u64) {
        if word.is_empty() {
            return (0, 0);
        }
        let shorter = (1 << word.len().min(63)) - 1;
        (self.openings[opening(word)] & shorter, self.endings[ending(word)] & shorter)
    }

    fn find(&self, word: &[u8]) -> u32 {
        let mut slot = hash(word);
        while let Some(place) = usize::from(self.slots[slot]).checked_sub(1) {
            let (start, length, meaning) = self.words[place];
            let start = usize::from(start);
            if usize::from(length) == word.len() && self.text[start..start + word.len()] == *word {
                return meaning;
            }
            slot = (slot + 1) % self.slots.len();
        }
        0
    }
}

/// Returns where the next word of a list starts and ends. Both are the list's length at its end.
const fn next_word(list: &[u8], mut start: usize) -> (usize, usize) {
    while start < list.len() && list[start] == b' ' {
        start += 1;
    }
    let mut end = start;
    while end < list.len() && list[end] != b' ' {
        end += 1;
    }
    (start, end)
}

const fn copy(from: &[u8], (start, end): (usize, usize), to: &mut [u8], at: usize) -> usize {
    let mut index = start;
    while index < end {
        to[at + index - start] = from[index];
        index += 1;
    }
    at + end - start
}

/// Returns the class of the first two bytes of a word, which has at least one.
#[inline]
const fn opening(word: &[u8]) -> usize {
    class(word[0], if word.len() > 1 { word[1] } else { 0 })
}

/// Returns the class of the last two bytes of a word, which has at least one.
#[inline]
const fn ending(word: &[u8]) -> usize {
    class(word[word.len() - 1], if word.len() > 1 { word[word.len() - 2] } else { 0 })
}

#[inline]
const fn class(edge: u8, inner: u8) -> usize {
    (edge as usize ^ (inner as usize) << 5) % EDGES
}

/// Returns the first slot of a word, which has at least one byte.
#[inline]
const fn hash(word: &[u8]) -> usize {
    let (first, middle, last) = (word[0] as u32, word[word.len() / 2] as u32, word[word.len() - 1] as u32);
    let second = word[word.len() / 3] as u32;
    let mixed = first | middle << 8 | last << 16 | (word.len() as u32) << 24;
    (mixed.wrapping_mul(0x9E37_79B1) ^ second.wrapping_mul(0x85EB_CA6B)) as usize >> 20
}
