package wire

// The methods of Pay-At-Counter, as they are spelt on the wire. A transaction
// or a report has its type as its method.
const (
	MethodConnectedTerminals  = "connectedTerminals"
	MethodTerminalDetails     = "terminalDetails"  // v1
	MethodTerminalsDetails    = "terminalsDetails" // v0
	MethodSale                = "sale"
	MethodRefund              = "refund"
	MethodPreAuth             = "preAuth"             // v1
	MethodCompletion          = "completion"          // v1
	MethodAccountVerification = "accountVerification" // v1
	MethodCancelTransaction   = "cancelTransaction"
	MethodDuplicate           = "duplicate"
	MethodReportEndOfDay      = "reportEndOfDay"
	MethodReportBanking       = "reportBanking"
	MethodReportXBalance      = "reportXBalance"
	MethodReportZBalance      = "reportZBalance"

	MethodVerifySignature      = "signatureVerificationRequest" // Connect → EPOS
	MethodTerminalNotification = "terminalNotification"         // Connect → EPOS
)

// The methods of extensions (the contract, section 10).
const (
	MethodTransactionStatus    = "transactionStatus"    // status; EPOS → Connect
	MethodTransactionCorrected = "transactionCorrected" // late; a notification, Connect → EPOS
)

// The names of the extensions, as they stand in the query (the contract,
// section 10).
const (
	ExtensionKeys   = "keys"
	ExtensionStatus = "status"
	ExtensionResume = "resume"
	ExtensionLate   = "late"
	ExtensionErrors = "errors"
	ExtensionAcks   = "acks"
)

// The methods of Pay-At-Table, all of them Connect → EPOS. The last three are
// notifications, or requests on a connection with the extension acks.
const (
	MethodTableList           = "tableListRequest"
	MethodTableLock           = "tableLockRequest"
	MethodPOSReceipt          = "posReceiptRequest"
	MethodFinalPOSReceipt     = "finalPOSReceiptRequest"
	MethodTransactionResponse = "transactionResponse"
	MethodTableUnlock         = "tableUnlock"
	MethodReportResponse      = "reportResponse"
)

// PATMethods lists the methods of Pay-At-Table in the order of the contract.
// They are the same in both versions.
func PATMethods() []string {
	return []string{
		MethodTableList, MethodTableLock, MethodPOSReceipt, MethodFinalPOSReceipt,
		MethodTransactionResponse, MethodTableUnlock, MethodReportResponse,
	}
}

// typed pairs a method with the type that it asks for, as results spell it.
type typed struct {
	method string
	kind   string
	since  Version
}

func transactions() [5]typed {
	return [5]typed{
		{MethodSale, "SALE", V0},
		{MethodRefund, "REFUND", V0},
		{MethodPreAuth, "PRE_AUTH", V1},
		{MethodCompletion, "COMPLETION", V1},
		{MethodAccountVerification, "ACCOUNT_VERIFICATION", V1},
	}
}

func reports() [4]typed {
	return [4]typed{
		{MethodReportEndOfDay, "END_OF_DAY", V0},
		{MethodReportBanking, "BANKING", V0},
		{MethodReportXBalance, "X_BALANCE", V0},
		{MethodReportZBalance, "Z_BALANCE", V0},
	}
}

// Methods lists the methods that a till may call in version v, in the order of
// the contract.
func Methods(v Version) []string {
	out := []string{MethodConnectedTerminals, MethodTerminalDetails}
	if v == V0 {
		out[1] = MethodTerminalsDetails
	}
	for _, t := range transactions() {
		if t.since <= v {
			out = append(out, t.method)
		}
	}
	out = append(out, MethodCancelTransaction, MethodDuplicate)
	for _, t := range reports() {
		out = append(out, t.method)
	}
	return out
}

// TransactionType returns the type of transaction that a method of version v
// asks for: "SALE" for "sale".
func TransactionType(v Version, method string) (kind string, ok bool) {
	all := transactions()
	return typeOf(all[:], v, method)
}

// TransactionMethod returns the method that asks for a type of transaction. The
// types that only come back, such as reversals, have none.
func TransactionMethod(kind string) (method string, ok bool) {
	all := transactions()
	return methodOf(all[:], kind)
}

// ReportType returns the report that a method asks for: "X_BALANCE" for
// "reportXBalance".
func ReportType(method string) (kind string, ok bool) {
	all := reports()
	return typeOf(all[:], V1, method)
}

// ReportMethod returns the method that asks for a report.
func ReportMethod(kind string) (method string, ok bool) {
	all := reports()
	return methodOf(all[:], kind)
}

func typeOf(all []typed, v Version, method string) (string, bool) {
	for _, t := range all {
		if t.method == method && t.since <= v {
			return t.kind, true
		}
	}
	return "", false
}

func methodOf(all []typed, kind string) (string, bool) {
	for _, t := range all {
		if t.kind == kind {
			return t.method, true
		}
	}
	return "", false
}
