# Included by ../Makefile.

.PHONY: contracts-artifacts contracts-coverage contracts-deep contracts-gas contracts-mutants prove

contracts: $(READY) ## recompile the contracts, compare with the artifacts; tests, gas, Slither, mutants
	@$(BIN)/python contracts/run.py check
	@$(BIN)/python contracts/run.py test
	@$(BIN)/python contracts/assure.py gas audit coverage fast-mutants

contracts-artifacts: $(READY) ## write the contract artifacts that ship with the package
	@$(BIN)/python contracts/run.py build

contracts-coverage: $(READY) ## print which part of the contracts the tests run through
	@$(BIN)/python contracts/assure.py coverage

contracts-deep: $(READY) ## fuzz the contracts for long; every mutant; every proof
	@$(BIN)/python contracts/run.py deep
	@$(BIN)/python contracts/assure.py mutants prove

contracts-gas: $(READY) ## write the gas snapshot of the contracts anew
	@$(BIN)/python contracts/assure.py write-gas

contracts-mutants: $(READY) ## put every known fault into the contracts; the tests must find each
	@$(BIN)/python contracts/assure.py mutants

prove: $(READY) ## prove small properties of the contracts for all inputs (halmos)
	@$(BIN)/python contracts/assure.py prove
