package main

// Example runs the program; its output is checked.
func Example() {
	main()
	// Output: 9
}
