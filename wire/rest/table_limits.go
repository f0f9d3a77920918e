package rest

// MaxLines is how many lines a receipt that a till stores may have.
const MaxLines = 500
