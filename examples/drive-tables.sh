# Has tables.mjs or tables.py do what the integration checklist orders:
#
#   tillwire check pat --till-command 'sh examples/drive-tables.sh node examples/node/tables.mjs'
#
# The first table that is opened starts the till, in the folder till-on-trial; it ends
# when another takes over. What it prints is all that there is of its books.
mkdir -p till-on-trial
table=$TILLWIRE_CHECK_TABLE log=till-on-trial/log

case $TILLWIRE_CHECK_METHOD in
open)
	[ -p till-on-trial/keyboard ] || {
		mkfifo till-on-trial/keyboard
		"$@" "$TILLWIRE_CHECK_URL&extensions=acks" <>till-on-trial/keyboard >$log 2>&1 &
		echo $! >till-on-trial/pid
	}
	echo "$table $TILLWIRE_CHECK_AMOUNT" >till-on-trial/keyboard
	;;
books)
	locked=false
	case $(grep "^table $table \(un\)*locked" $log | tail -n 1) in
	"table $table locked"*) locked=true ;;
	esac
	payments=$(sed -n "s/^table $table paid \([0-9]*\)\.\([0-9]*\) by .*, gratuity \([0-9]*\)\.\([0-9]*\), .* payment \(.*\)/\
{\"amountPaid\": \1\2, \"amountGratuity\": \3\4, \"paymentId\": \"\5\"}/p" $log | sed 's/: 0*\([0-9]\)/: \1/g' | paste -s -d , -)
	echo "{\"locked\": $locked, \"waiters\": false, \"payments\": [$payments]}"
	;;
report) echo '{"yes": false}' ;; # it asks for a copy to be kept, and keeps none
*)
	case $TILLWIRE_CHECK_LINE in
	general.installer) echo '{"yes": true}' ;;      # it is in the address, which is a setting
	general.softwareHouse) echo '{"yes": false}' ;; # so is this one, and should not be
	esac
	;;
esac
