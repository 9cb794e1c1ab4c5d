# Included by ../Makefile.

.PHONY: contracts-artifacts contracts-deep

contracts: $(READY) ## recompile the contracts, compare with the artifacts, run their tests
	@$(BIN)/python contracts/run.py check
	@$(BIN)/python contracts/run.py test

contracts-artifacts: $(READY) ## write the contract artifacts that ship with the package
	@$(BIN)/python contracts/run.py build

contracts-deep: $(READY) ## fuzz the contracts for long
	@$(BIN)/python contracts/run.py deep
