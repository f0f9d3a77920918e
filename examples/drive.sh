# Has one of the tills in a page of code do what the integration checklist orders:
#
#   tillwire check pac --till-command 'sh examples/drive.sh node examples/node/till.mjs'
#
# They can only sell. What else is ordered is not done, so that its lines are not
# reached; examples/README.md has the list.

case $TILLWIRE_CHECK_LINE in
general.installer) echo '{"yes": true}' ;;      # it is in the address, which is a setting
general.softwareHouse) echo '{"yes": false}' ;; # so is this one, and should not be
esac
order="$TILLWIRE_CHECK_METHOD $TILLWIRE_CHECK_CASHBACK $TILLWIRE_CHECK_PRESENT $TILLWIRE_CHECK_CANCEL_AFTER"
[ "$order" = 'sale 0 yes ' ] || exit 0

out=$(mktemp) && trap 'rm -f "$out" "$out.end"' EXIT
asked() { # waits until the till has asked for somebody's word, unless it ends
	until grep -q 'Does the signature match' "$out"; do
		[ ! -e "$out.end" ] || return 1
		sleep 0.1
	done
}
case $TILLWIRE_CHECK_SIGNATURE in
accept) cashier() { asked && sleep "$TILLWIRE_CHECK_WAIT" && echo y; } ;;
leave) cashier() { asked && sleep "$TILLWIRE_CHECK_WAIT" && sleep 2; } ;; # longer than the gateway waits
*) cashier() { echo n; } ;;
esac
till() {
	"$@" "$TILLWIRE_CHECK_TID" "$TILLWIRE_CHECK_URL" "$TILLWIRE_CHECK_AMOUNT" >"$out"
	code=$?
	: >"$out.end"
	return $code
}
cashier | till "$@"
code=$? # of the till, which is the last of the two

# What it has shown and booked, for the last line of the output.
cleared=false total=
if [ $code = 0 ]; then
	cleared=true
	total=$(sed -n 's/^SUCCESSFUL: \([0-9]*\)\.\([0-9][0-9]\) .* paid$/, "amountTotal": \1\2/p' "$out")
fi
message=$(sed -n 's/^No sale: \(.*\)$/, "message": "\1"/p' "$out")
values=$(sed -n 's/^[A-Z_][A-Z_]*$/"&"/p; /"TRANSACTION_FINISHED"/q' "$out" | paste -s -d , -)
echo "{\"cleared\": $cleared$total$message, \"notifications\": [$values]}"
