B=@REST@
login() { # name, number: an account and its token; the code comes back as devCode because CODE_DRIVER is log
    c=$(curl -sS $B/api/register -d "{\"name\":\"$1\",\"phoneNumber\":\"$2\"}")
    curl -sS $B/api/verify -d "{\"challenge\":$(jq .challenge <<<$c),\"code\":$(jq .devCode <<<$c)}"
}
ANN=$(login Ann +4915550000001) BEN=$(login Ben +4915550000002)
as_ann="Authorization: Bearer $(jq -r .accessToken <<<$ANN)" as_ben="Authorization: Bearer $(jq -r .accessToken <<<$BEN)"
CHAT=$(curl -sS $B/api/chats -H "$as_ann" -d "{\"userId\":$(jq .userId <<<$BEN)}" | jq -r .chat.chatId)
curl -sS $B/api/messages -H "$as_ann" -d "{\"chatId\":\"$CHAT\",\"content\":\"hello\",\"type\":\"text\"}" | jq .
curl -sS $B/api/chats/$CHAT/messages -H "$as_ben" | jq .
