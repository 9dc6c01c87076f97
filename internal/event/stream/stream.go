// Package stream carries records from the mail to the sinks.
package stream
